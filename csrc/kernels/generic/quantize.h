// Dynamic activation quantisation, one scale a row.
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

// The nearest even integer of x / scale. No clip is needed: |x| <= amax and scale is amax / qmax rounded
// once, so the quotient stays below qmax + 1/2.
HB_INLINE IntLanes codes_of(Lanes x, Lanes scale) { return rounded(x / scale + splat(kRound)); }

// A division takes as long as ten other operations, so x is multiplied by 1 / scale, and divided only where
// that might round to another integer. With e = 2^-24 and |x / scale| < 127 (1 + 2 e):
//   the product, rounded twice, is off the true quotient by less than 127.1 * 2.001 e < 2^-16,
//   the quotient, rounded once,                  by less than 127.1 e         < 2^-17
// (or both by less than 2^-149, where they are denormal; 1 / scale never is, as scale lies in 2^-107..2^126).
// So a product within 1/2 - 2^-15 of an integer n, a distance that float arithmetic gives exactly, has its
// quotient within less than 1/2 of n: both round to n.
constexpr float kSureDistance = 0.5f - 0x1p-15f;
constexpr int64_t kCheckedInputs = 256;  // one in 2^14 is unsure, and takes as many divisions with it

HB_INLINE void quantize_row(const float* x, int64_t k, float scale, int8_t* codes) {
  const Lanes divisor = splat(scale), factor = splat(1.0f / scale);
  const IntLanes magnitude = splat_int(0x7fffffff), sure = as_int(splat(kSureDistance));
  for (int64_t i = 0; i < k; i += kCheckedInputs) {
    const int64_t count = k - i < kCheckedInputs ? k - i : kCheckedInputs;
    IntLanes farthest = splat_int(0);  // of non-negative floats the integer order is the float order
    store_all_codes(x + i, count, codes + i, [&](Lanes values) {
      const Lanes product = values * factor, shifted = product + splat(kRound);
      const IntLanes distance = as_int(product - (shifted - splat(kRound))) & magnitude;
      farthest = larger(farthest, distance);
      return rounded(shifted);
    });
    if (any(farthest > sure))
      store_all_codes(x + i, count, codes + i, [&](Lanes values) { return codes_of(values, divisor); });
  }
  const int64_t written = (k + kLanes - 1) / kLanes * kLanes;
  std::memset(codes + written, 0, padded_codes(k) - written);
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
