// What follows the sums of an integer-only layer: bias, rescaling, and the int8 or int16 store.
#pragma once
#include "kernels/generic/byte_lanes.h"
#include "kernels/generic/wide_lanes.h"
#include "kernels/integer_only.h"

namespace halfbyte {
namespace {

constexpr int32_t kLargestWide = 32767;
constexpr int32_t kLargestStep = 1 << 17;  // more takes any residual to the edge

HB_INLINE IntLanes rescaled(IntLanes acc, IntLanes multipliers, const Rounding& rounding) {
  return rounded(products(acc, multipliers), rounding);
}

// clip(residual + y, -32767, 32767)
template <class Part>
HB_INLINE void store_wide(Part part, const int16_t* residual, IntLanes y, int16_t* out) {
  y = clipped(y, -kLargestStep, kLargestStep);
  if (residual != nullptr) y = y + load_codes(part, residual);
  store_codes(part, out, clipped(y, -kLargestWide, kLargestWide));
}

// 16 outputs from n on in some rows of sums, `acc_stride` apart; rows of outputs begin with m.
template <class Part>
HB_INLINE void store_integer_columns(const IntegerEpilogue& e, int64_t m, int64_t n, Part part,
                                     const int32_t* acc, int64_t acc_stride, int rows) {
  const Rounding rounding(e.shift);
  const IntLanes bias = load(part, e.bias + n), multipliers = load(part, e.multipliers + n);
  for (int row = 0; row < rows; ++row) {
    const IntLanes y = rescaled(load(acc + row * acc_stride) + bias, multipliers, rounding);
    const int64_t at = (m + row) * e.stride + n;
    if (e.codes != nullptr)
      store_codes(part, e.codes + at, clipped(y, e.low, 127));
    else
      store_wide(part, e.residual != nullptr ? e.residual + at : nullptr, y, e.wide + at);
  }
}

// Outputs n.. (`width` of them) of some rows.
HB_INLINE void store_integer(const IntegerEpilogue e, int64_t m, int64_t n, int64_t width, const int32_t* acc,
                             int64_t acc_stride, int rows) {
  for_lanes(width, [&](int64_t i, auto part) {
    store_integer_columns(e, m, n + i, part, acc + i, acc_stride, rows);
  });
  if (e.table == nullptr) return;
  for (int row = 0; row < rows; ++row) {
    int8_t* codes = e.codes + (m + row) * e.stride + n;
    apply_table(codes, width, e.table, codes);
  }
}

}  // namespace
}  // namespace halfbyte
