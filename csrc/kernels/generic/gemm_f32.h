// Float matrix product: out[m][n] = 0.0f + a[m][0] * b[0][n] + a[m][1] * b[1][n] + ..., left to right.
//
// Blocks of kMr rows x kNc outputs stay in registers; K is cut into blocks of kKc, between which the
// running sums rest in `out`, so the order of additions is the same for every blocking.
#pragma once
#include "kernels/generic/lanes.h"

namespace halfbyte {
namespace {

constexpr int kVectors = 2;                         // registers along N
constexpr int kMr = kNativeLanes == 16 ? 8 : 4;     // rows; kMr * kVectors sums fit the registers
constexpr int64_t kNc = kVectors * kNativeLanes;    // outputs of one block
constexpr int64_t kKc = 128;                        // a panel of b, kKc x kNc, is at most 16 KiB

// A panel of b: row k at b + k * stride, kNc columns wide, with unit column stride.
struct Panel {
  const float* b;
  int64_t stride;
  int64_t k;
};

// kRows x kNc sums of `out`, continued over the panel's K. `out` is read unless is_first.
template <int kRows>
HB_INLINE void block_f32(const float* a, int64_t a_row_stride, int64_t a_col_stride,
                         const Panel& panel, bool is_first, float* out, int64_t out_stride) {
  Native sum[kRows][kVectors];
#pragma GCC unroll 8
  for (int m = 0; m < kRows; ++m)
#pragma GCC unroll 2
    for (int v = 0; v < kVectors; ++v)
      sum[m][v] = is_first ? Native{} : load(Tag<Native>{}, out + m * out_stride + v * kNativeLanes);
  for (int64_t k = 0; k < panel.k; ++k) {
    Native b[kVectors];
#pragma GCC unroll 2
    for (int v = 0; v < kVectors; ++v)
      b[v] = load(Tag<Native>{}, panel.b + k * panel.stride + v * kNativeLanes);
#pragma GCC unroll 8
    for (int m = 0; m < kRows; ++m) {
      const Native value = fill(Tag<Native>{}, a[m * a_row_stride + k * a_col_stride]);
#pragma GCC unroll 2
      for (int v = 0; v < kVectors; ++v) sum[m][v] = sum[m][v] + value * b[v];
    }
  }
#pragma GCC unroll 8
  for (int m = 0; m < kRows; ++m)
#pragma GCC unroll 2
    for (int v = 0; v < kVectors; ++v) store(out + m * out_stride + v * kNativeLanes, sum[m][v]);
}

void block_rows_f32(int rows, const float* a, int64_t a_row_stride, int64_t a_col_stride,
                    const Panel& panel, bool is_first, float* out, int64_t out_stride) {
  switch (rows) {
    case 1: return block_f32<1>(a, a_row_stride, a_col_stride, panel, is_first, out, out_stride);
    case 2: return block_f32<2>(a, a_row_stride, a_col_stride, panel, is_first, out, out_stride);
    case 3: return block_f32<3>(a, a_row_stride, a_col_stride, panel, is_first, out, out_stride);
    case 4: return block_f32<4>(a, a_row_stride, a_col_stride, panel, is_first, out, out_stride);
#if defined(__AVX512F__)
    case 5: return block_f32<5>(a, a_row_stride, a_col_stride, panel, is_first, out, out_stride);
    case 6: return block_f32<6>(a, a_row_stride, a_col_stride, panel, is_first, out, out_stride);
    case 7: return block_f32<7>(a, a_row_stride, a_col_stride, panel, is_first, out, out_stride);
    default: return block_f32<8>(a, a_row_stride, a_col_stride, panel, is_first, out, out_stride);
#endif
  }
}

// Copies columns n.. of rows k.. of b into `panel`, missing columns as zeros.
HB_INLINE void copy_panel(const GemmF32& g, int64_t n, int64_t width, int64_t k, int64_t depth,
                          float* panel) {
  if (width < kNc) std::memset(panel, 0, depth * kNc * sizeof(float));
  for (int64_t col = 0; col < width; ++col) {
    const float* source = g.b + k * g.b_row_stride + (n + col) * g.b_col_stride;
    for (int64_t row = 0; row < depth; ++row) panel[row * kNc + col] = source[row * g.b_row_stride];
  }
}

// All rows of a against one panel. A block narrower than kNc goes through a buffer of its own.
HB_INLINE void all_rows_f32(const GemmF32& g, const Panel& panel, int64_t n, int64_t width, int64_t k) {
  float narrow[kMr * kNc];
  for (int64_t m = 0; m < g.m; m += kMr) {
    const int rows = static_cast<int>(g.m - m < kMr ? g.m - m : kMr);
    const float* a = g.a + m * g.a_row_stride + k * g.a_col_stride;
    float* out = g.out + m * g.out_stride + n;
    if (width == kNc) {
      block_rows_f32(rows, a, g.a_row_stride, g.a_col_stride, panel, k == 0, out, g.out_stride);
      continue;
    }
    for (int row = 0; k > 0 && row < rows; ++row)
      std::memcpy(narrow + row * kNc, out + row * g.out_stride, width * sizeof(float));
    block_rows_f32(rows, a, g.a_row_stride, g.a_col_stride, panel, k == 0, narrow, kNc);
    for (int row = 0; row < rows; ++row)
      std::memcpy(out + row * g.out_stride, narrow + row * kNc, width * sizeof(float));
  }
}

// See GemmF32 for layouts. Uses kKc * kNc floats of stack.
void gemm_f32_strided(const GemmF32& g) {
  alignas(64) float copy[kKc * kNc];
  for (int64_t n = 0; n < g.n; n += kNc) {
    const int64_t width = g.n - n < kNc ? g.n - n : kNc;
    const bool in_place = width == kNc && g.b_col_stride == 1;
    int64_t k = 0;
    do {
      const int64_t depth = g.k - k < kKc ? g.k - k : kKc;
      Panel panel{g.b + k * g.b_row_stride + n, g.b_row_stride, depth};
      if (!in_place) {
        copy_panel(g, n, width, k, depth, copy);
        panel = {copy, kNc, depth};
      }
      all_rows_f32(g, panel, n, width, k);
      k += kKc;
    } while (k < g.k);
  }
}

}  // namespace
}  // namespace halfbyte
