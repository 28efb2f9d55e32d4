// What training does with codes beside the linear layer itself: weights to codes, codes to bfloat16.
#pragma once
#include "kernels/generic/quantize.h"

namespace halfbyte {
namespace {

// code = rint(clip(x / scale, -qmax, qmax)), ties to even; writes exactly `count` codes.
void codes_of_scale_f32(const float* x, float scale, int qmax, int64_t count, int8_t* codes) {
  const Lanes s = splat(scale), low = splat(static_cast<float>(-qmax)),
              high = splat(static_cast<float>(qmax));
  const auto codes_of = [&](Lanes v) {
    v = v / s;
    v = select(v < low, low, v);
    v = select(v > high, high, v);
    return rounded(v + splat(kRound));
  };
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) store_narrow(codes + i, codes_of(load(x + i)));
  if (i == count) return;
  int8_t last[kLanes];
  store_narrow(last, codes_of(load_part(x + i, count - i, 0.0f)));
  std::memcpy(codes + i, last, count - i);
}

// max |x|, as quantize_rows has it.
float amax_f32(const float* x, int64_t count) {
  const int32_t bits = row_amax_bits(x, count);
  float amax;
  std::memcpy(&amax, &bits, sizeof amax);
  return amax;
}

// The bits of bfloat16(value), ties to even; no NaN.
HB_INLINE uint16_t bf16_bits(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  return static_cast<uint16_t>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

// Both loops are plain enough for the compiler to vectorise.
void values_bf16(const int8_t* codes, float scale, int64_t count, uint16_t* out) {
  for (int64_t i = 0; i < count; ++i) out[i] = bf16_bits(static_cast<float>(codes[i]) * scale);
}
void round_bf16(const float* x, int64_t count, uint16_t* out) {
  for (int64_t i = 0; i < count; ++i) out[i] = bf16_bits(x[i]);
}

}  // namespace
}  // namespace halfbyte
