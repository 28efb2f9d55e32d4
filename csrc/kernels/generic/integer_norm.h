// Fixed-point layer norm: exact sums, an inverse root of 31 bits, two roundings.
#pragma once
#include "kernels/generic/integer_epilogue.h"

namespace halfbyte {
namespace {

// 2^31 / sqrt(v) in units of 2^(h - 31), where 4^h is the power that brings v (1..2^61) to 2^60 at least.
struct InverseRoot {
  int32_t factor;
  int h;

  HB_INLINE explicit InverseRoot(uint64_t v) {
    const int num_bits = 64 - __builtin_clzll(v | 1);
    h = num_bits < 61 ? (62 - num_bits) / 2 : 0;
    v <<= 2 * h;
    uint64_t root = ((uint64_t{1} << 31) + (v >> 31)) >> 1;  // the first of six steps of Newton's, from 2^31
    for (int step = 1; step < 6; ++step) root = (root + v / root) >> 1;
    const uint64_t inverse = (uint64_t{1} << 61) / root;
    factor = static_cast<int32_t>(inverse < 0x7fffffff ? inverse : 0x7fffffff);
  }
};

// Sum of x and of its squares. Squares, below 2^31, are added as two halves, so that lanes of 32 bits hold
// them for D <= 32768.
struct Moments {
  int64_t sum, squares;

  HB_INLINE Moments(const int16_t* x, int64_t d) {
    IntLanes sums = splat_int(0), lower = splat_int(0), upper = splat_int(0);
    for_lanes(d, [&](int64_t i, auto part) {
      const IntLanes values = load_codes(part, x + i), squared = values * values;
      sums = sums + values;
      lower = lower + (squared & splat_int(0xffff));
      upper = upper + (squared >> 16);
    });
    sum = total(sums);
    squares = total(lower) + (total(upper) << 16);
  }

  HB_INLINE static int64_t total(IntLanes v) {
    int32_t lanes[kLanes];
    store(lanes, v);
    int64_t total = 0;
    for (int lane = 0; lane < kLanes; ++lane) total += lanes[lane];
    return total;
  }
};

template <class Out>
HB_INLINE void normalise_row(const IntegerLayerNorm op, const int16_t* x, int32_t high, Out* out) {
  const Moments moments(x, op.d);
  const InverseRoot inverse(
      static_cast<uint64_t>(op.d * moments.squares - moments.sum * moments.sum + op.epsilon));
  const IntLanes width = splat_int(static_cast<int32_t>(op.d)), factor = splat_int(inverse.factor);
  const IntLanes sum = splat_int(static_cast<int32_t>(moments.sum));
  const Rounding of_z(45 - inverse.h), of_y(op.shift);
  for_lanes(op.d, [&](int64_t i, auto part) {
    const IntLanes centred = load_codes(part, x + i) * width - sum;
    const IntLanes z = rounded(products(centred, factor), of_z);
    const auto scaled = products(z, load(part, op.weight + i)) + load_wide(part, op.bias + i);
    store_codes(part, out + i, clipped(rounded(scaled, of_y), -high, high));
  });
}

void layer_norm_i8_rows(const IntegerLayerNorm& op, int8_t* out) {
  for (int64_t row = 0; row < op.rows; ++row) normalise_row(op, op.x + row * op.d, 127, out + row * op.d);
  if (op.table != nullptr) apply_table(out, op.rows * op.d, op.table, out);
}
void layer_norm_i16_rows(const IntegerLayerNorm& op, int16_t* out) {
  for (int64_t row = 0; row < op.rows; ++row) normalise_row(op, op.x + row * op.d, 32767, out + row * op.d);
}

}  // namespace
}  // namespace halfbyte
