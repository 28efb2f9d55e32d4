// Float matrix product: out[m][n] = 0.0f + a[m][0] * b[0][n] + a[m][1] * b[1][n] + ..., left to right.
//
// Blocks of up to kMr rows x one or two registers of outputs stay in registers; K is cut into blocks of kKc,
// between which the running sums rest in `out`, so the order of additions is the same for every blocking.
// AVX-512 multiplies by a number of `a` straight from memory; shared by two registers of b, the number takes
// an instruction of its own on the same ports (38 instead of 53 billion multiply-adds a second on Zen 4). So
// there blocks are one register wide, unless there are too few rows to hide the latency of an addition.
#pragma once
#include "kernels/generic/lanes.h"

namespace halfbyte {
namespace {

constexpr bool kHasMemoryFactor = kNativeLanes == 16;
constexpr int kMr = kHasMemoryFactor ? 16 : 4;         // rows
constexpr int kWideRows = kHasMemoryFactor ? 3 : kMr;  // up to here two registers of outputs
constexpr int64_t kNc = 2 * kNativeLanes;              // most outputs of one block
constexpr int64_t kKc = 128;                           // a panel of b, kKc x kNc, is at most 16 KiB

// Some columns of b from row `first` on: row k at b + k * stride, unit column stride, readable up to
// `columns` (kNativeLanes or kNc). The first panel along K starts the sums, later ones continue those in
// `out`.
struct Panel {
  const float* b;
  int64_t stride;
  int64_t columns;
  int64_t first;
  int64_t depth;
  bool starts;
};

// Some rows of a from column `Panel::first` on.
struct Rows {
  const float* a;
  int64_t row_stride;
  int64_t col_stride;
};

// kRows x kVectors registers of sums. `out` is read unless the panel starts them.
template <int kRows, int kVectors>
HB_INLINE void block_f32(const Rows& rows, const Panel& panel, float* out, int64_t out_stride) {
  Native sum[kRows][kVectors];
#pragma GCC unroll 16
  for (int m = 0; m < kRows; ++m)
#pragma GCC unroll 2
    for (int v = 0; v < kVectors; ++v)
      sum[m][v] = panel.starts ? Native{} : load(Tag<Native>{}, out + m * out_stride + v * kNativeLanes);
  for (int64_t k = 0; k < panel.depth; ++k) {
    Native b[kVectors];
#pragma GCC unroll 2
    for (int v = 0; v < kVectors; ++v)
      b[v] = load(Tag<Native>{}, panel.b + k * panel.stride + v * kNativeLanes);
#pragma GCC unroll 16
    for (int m = 0; m < kRows; ++m) {
      const Native value = fill(Tag<Native>{}, rows.a[m * rows.row_stride + k * rows.col_stride]);
#pragma GCC unroll 2
      for (int v = 0; v < kVectors; ++v) sum[m][v] = sum[m][v] + value * b[v];
    }
  }
#pragma GCC unroll 16
  for (int m = 0; m < kRows; ++m)
#pragma GCC unroll 2
    for (int v = 0; v < kVectors; ++v) store(out + m * out_stride + v * kNativeLanes, sum[m][v]);
}

// block_f32 for `count` rows, 1..kRows, found by counting down.
template <int kRows>
HB_INLINE void block_rows_f32(int count, const Rows& rows, const Panel& panel, float* out,
                              int64_t out_stride) {
  if constexpr (kRows > kWideRows)
    if (count <= kWideRows) return block_rows_f32<kWideRows>(count, rows, panel, out, out_stride);
  if constexpr (kRows / 2 > kWideRows)
    if (count <= kRows / 2) return block_rows_f32<kRows / 2>(count, rows, panel, out, out_stride);
  if constexpr (kRows > 1)
    if (count < kRows) return block_rows_f32<kRows - 1>(count, rows, panel, out, out_stride);
  if constexpr (kRows <= kWideRows)
    if (panel.columns == kNc) return block_f32<kRows, 2>(rows, panel, out, out_stride);
  block_f32<kRows, 1>(rows, panel, out, out_stride);
}

// Copies `width` columns of b from column n on, rows as the panel says; missing columns become zeros.
HB_INLINE void copy_panel(const GemmF32& g, int64_t n, int64_t width, const Panel& panel, float* copy) {
  const float* source = g.b + panel.first * g.b_row_stride + n * g.b_col_stride;
  if (width < panel.columns) std::memset(copy, 0, panel.depth * panel.columns * sizeof(float));
  if (g.b_col_stride == 1) {
    for (int64_t k = 0; k < panel.depth; ++k)
      std::memcpy(copy + k * panel.columns, source + k * g.b_row_stride, width * sizeof(float));
    return;
  }
  for (int64_t col = 0; col < width; ++col, source += g.b_col_stride)
    for (int64_t k = 0; k < panel.depth; ++k) copy[k * panel.columns + col] = source[k * g.b_row_stride];
}

// The last two blocks share their rows, so that none is left with few.
HB_INLINE int rows_at_once(int64_t rows_left) {
  if (rows_left <= kMr) return static_cast<int>(rows_left);
  return rows_left < 2 * kMr ? static_cast<int>(rows_left + 1) / 2 : kMr;
}

// All rows of a against one panel. A block narrower than the panel goes through a buffer of its own.
HB_INLINE void all_rows_f32(const GemmF32& g, const Panel& panel, int64_t n, int64_t width) {
  float narrow[kMr * kNc];
  int count;
  for (int64_t m = 0; m < g.m; m += count) {
    count = rows_at_once(g.m - m);
    const Rows rows{g.a + m * g.a_row_stride + panel.first * g.a_col_stride, g.a_row_stride, g.a_col_stride};
    float* out = g.out + m * g.out_stride + n;
    if (width == panel.columns) {
      block_rows_f32<kMr>(count, rows, panel, out, g.out_stride);
      continue;
    }
    for (int row = 0; !panel.starts && row < count; ++row)
      std::memcpy(narrow + row * panel.columns, out + row * g.out_stride, width * sizeof(float));
    block_rows_f32<kMr>(count, rows, panel, narrow, panel.columns);
    for (int row = 0; row < count; ++row)
      std::memcpy(out + row * g.out_stride, narrow + row * panel.columns, width * sizeof(float));
  }
}

// See GemmF32 for layouts. Uses kKc * kNc floats of stack. K = 0 gives zeros.
void gemm_f32_strided(const GemmF32& g) {
  alignas(64) float copy[kKc * kNc];
  const bool is_wide = !kHasMemoryFactor || g.m <= kWideRows;
  for (int64_t n = 0; n < g.n;) {
    const int64_t left = g.n - n;
    const int64_t columns = left > kNativeLanes && is_wide ? kNc : kNativeLanes;
    const int64_t width = left < columns ? left : columns;
    const bool in_place = width == columns && g.b_col_stride == 1;
    int64_t k = 0;
    do {
      const int64_t depth = g.k - k < kKc ? g.k - k : kKc;
      Panel panel{g.b + k * g.b_row_stride + n, g.b_row_stride, columns, k, depth, k == 0 && !g.continues};
      if (!in_place) {
        copy_panel(g, n, width, panel, copy);
        panel.b = copy;
        panel.stride = columns;
      }
      all_rows_f32(g, panel, n, width);
      k += kKc;
    } while (k < g.k);
    n += width;
  }
}

}  // namespace
}  // namespace halfbyte
