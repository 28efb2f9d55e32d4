// Dynamic activation quantisation, one scale a row.
#pragma once
#include "kernels/generic/functions.h"

namespace halfbyte {
namespace {

// Largest |x| of a row, as bits: of non-negative floats the integer order is the float order, and NaN
// and infinity come out above every finite number.
HB_INLINE int32_t row_amax_bits(const float* x, int64_t k) {
  IntLanes best = splat_int(0);
  const IntLanes magnitude = splat_int(0x7fffffff);
  int64_t i = 0;
  for (; i + kLanes <= k; i += kLanes) {
    const IntLanes bits = as_int(load(x + i)) & magnitude;
    best = select(bits > best, bits, best);
  }
  if (i < k) {
    const IntLanes bits = as_int(load_part(x + i, k - i, 0.0f)) & magnitude;
    best = select(bits > best, bits, best);
  }
  int32_t lanes[kLanes];
  store(lanes, best);
  int32_t largest = 0;
  for (int lane = 0; lane < kLanes; ++lane) largest = lanes[lane] > largest ? lanes[lane] : largest;
  return largest;
}

// The low byte of each lane.
HB_INLINE void store_codes(int8_t* out, NativeInt v) {
  typedef int8_t Bytes __attribute__((vector_size(kNativeLanes)));
  const Bytes bytes = __builtin_convertvector(v, Bytes);
  std::memcpy(out, &bytes, sizeof bytes);
}
template <class T>
HB_INLINE void store_codes(int8_t* out, Pair<T> v) {
  store_codes(out, v.lo);
  store_codes(out + sizeof(T) / sizeof(int32_t), v.hi);
}

// Rounds x / scale to the nearest even integer. No clip is needed: |x| <= amax and scale is amax / qmax
// rounded once, so the quotient stays below qmax + 1/2.
HB_INLINE IntLanes codes_of(Lanes x, Lanes scale) {
  return as_int(x / scale + splat(kRound)) - as_int(splat(kRound));
}

HB_INLINE void quantize_row(const float* x, int64_t k, float scale, int8_t* codes) {
  const Lanes s = splat(scale);
  int64_t i = 0;
  for (; i + kLanes <= k; i += kLanes) store_codes(codes + i, codes_of(load(x + i), s));
  if (i < k) {
    store_codes(codes + i, codes_of(load_part(x + i, k - i, 0.0f), s));
    i += kLanes;
  }
  std::memset(codes + i, 0, padded_codes(k) - i);
}

// s = amax < 2^-100 ? 1 : amax / qmax; code = rint(x / s). See Kernels::quantize_rows.
int64_t quantize_rows_f32(const float* x, int64_t x_stride, int qmax, const CodeRows& out) {
  for (int64_t row = 0; row < out.rows; ++row) {
    const float* values = x + row * x_stride;
    const int32_t bits = row_amax_bits(values, out.k);
    if (bits >= 0x7f800000) return row;
    float amax;
    std::memcpy(&amax, &bits, sizeof amax);
    out.scales[row] = amax < 0x1p-100f ? 1.0f : amax / static_cast<float>(qmax);
    quantize_row(values, out.k, out.scales[row], out.codes + row * out.stride);
  }
  return -1;
}

}  // namespace
}  // namespace halfbyte
