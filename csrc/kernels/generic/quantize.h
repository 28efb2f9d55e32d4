// Quantisation of activations: one scale a row, or one for all rows.
#pragma once
#include "kernels/generic/byte_lanes.h"
#include "kernels/generic/functions.h"

namespace halfbyte {
namespace {

// Largest |x| of a row, as bits: of non-negative floats the integer order is the float order, and NaN
// and infinity come out above every finite number.
HB_INLINE int32_t row_amax_bits(const float* x, int64_t k) {
  IntLanes best = splat_int(0);
  const IntLanes magnitude = splat_int(0x7fffffff);
  int64_t i = 0;
  for (; i + kLanes <= k; i += kLanes) best = larger(best, as_int(load(x + i)) & magnitude);
  if (i < k) best = larger(best, as_int(load_part(x + i, k - i, 0.0f)) & magnitude);
  const float largest =
      halving(as_float(best), [](auto a, auto b) { return as_float(larger(as_int(a), as_int(b))); });
  int32_t bits;
  std::memcpy(&bits, &largest, sizeof bits);
  return bits;
}

// rint(x / scale) for `count` inputs, which `codes_of` makes of 16 of them. Whole groups of 16 are written.
template <class CodesOf>
HB_INLINE void store_all_codes(const float* x, int64_t count, int8_t* codes, CodesOf codes_of) {
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) store_narrow(codes + i, codes_of(load(x + i)));
  if (i < count) store_narrow(codes + i, codes_of(load_part(x + i, count - i, 0.0f)));
}

// What adding kRound to a number rounded it to.
HB_INLINE IntLanes rounded(Lanes shifted) { return as_int(shifted) - as_int(splat(kRound)); }

// A division takes as long as ten other operations, so x is multiplied by 1 / scale, and divided only where
// that might round to another integer. With e = 2^-24 and |x / scale| < 127 (1 + 2 e):
//   the product, rounded twice, is off the true quotient by less than 127.1 * 2.001 e < 2^-16,
//   the quotient, rounded once,                  by less than 127.1 e         < 2^-17
// (or both by less than 2^-149, where they are denormal; 1 / scale never is, as scale lies in 2^-107..2^126).
// So a product within 1/2 - 2^-15 of an integer n, a distance that float arithmetic gives exactly, has its
// quotient within less than 1/2 of n: both round to n.
// With a static scale a quotient may lie anywhere, but is clipped to -255..255 (code less zero point): there
// the bounds are 2^-15 and 2^-16, the sure distance 1/2 - 2^-14, and what is clipped either way is the same.
constexpr float kSureDistance = 0.5f - 0x1p-15f, kSureStaticDistance = 0.5f - 0x1p-14f;
constexpr int64_t kCheckedInputs = 256;  // one in 2^14 is unsure, and takes as many divisions with it

// code = rint(clip(x / scale)) + zero_point.
template <class Clip>
HB_INLINE void quantize_row(const float* x, int64_t k, float scale, float sure_distance, Clip clip,
                            int32_t zero_point, int8_t* codes) {
  const Lanes divisor = splat(scale), factor = splat(1.0f / scale);
  const IntLanes magnitude = splat_int(0x7fffffff), sure = as_int(splat(sure_distance));
  const IntLanes zero = splat_int(zero_point);
  for (int64_t i = 0; i < k; i += kCheckedInputs) {
    const int64_t count = k - i < kCheckedInputs ? k - i : kCheckedInputs;
    IntLanes farthest = splat_int(0);  // of non-negative floats the integer order is the float order
    store_all_codes(x + i, count, codes + i, [&](Lanes values) {
      const Lanes product = clip(values * factor), shifted = product + splat(kRound);
      const IntLanes distance = as_int(product - (shifted - splat(kRound))) & magnitude;
      farthest = larger(farthest, distance);
      return rounded(shifted) + zero;
    });
    if (any(farthest > sure))
      store_all_codes(x + i, count, codes + i,
                      [&](Lanes values) { return rounded(clip(values / divisor) + splat(kRound)) + zero; });
  }
  std::memset(codes + k, 0, padded_codes(k) - k);
}

// s = amax < 2^-100 ? 1 : amax / qmax; code = rint(x / s). See Kernels::quantize_rows. No clip is needed:
// |x| <= amax and scale is amax / qmax rounded once, so the quotient stays below qmax + 1/2.
int64_t quantize_rows_f32(const float* x, int64_t x_stride, int qmax, const CodeRows& out) {
  for (int64_t row = 0; row < out.rows; ++row) {
    const float* values = x + row * x_stride;
    const int32_t bits = row_amax_bits(values, out.k);
    if (bits >= 0x7f800000) return row;
    float amax;
    std::memcpy(&amax, &bits, sizeof amax);
    out.scales[row] = amax < 0x1p-100f ? 1.0f : amax / static_cast<float>(qmax);
    const auto keep = [](Lanes v) { return v; };
    quantize_row(values, out.k, out.scales[row], kSureDistance, keep, 0, out.codes + row * out.stride);
  }
  return -1;
}

// See Kernels::quantize_rows_static.
int64_t quantize_rows_static_f32(const float* x, int64_t x_stride, const StaticScale& s,
                                 const CodeRows& out) {
  const Lanes low = splat(static_cast<float>(s.low - s.zero_point));
  const Lanes high = splat(static_cast<float>(s.high - s.zero_point));
  const auto clip = [&](Lanes v) {
    v = select(v < low, low, v);
    return select(v > high, high, v);
  };
  for (int64_t row = 0; row < out.rows; ++row) {
    const float* values = x + row * x_stride;
    if (row_amax_bits(values, out.k) >= 0x7f800000) return row;
    out.scales[row] = s.scale;
    quantize_row(values, out.k, s.scale, kSureStaticDistance, clip, s.zero_point,
                 out.codes + row * out.stride);
  }
  return -1;
}

}  // namespace
}  // namespace halfbyte
