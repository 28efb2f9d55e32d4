// What all integer GEMMs share: the walk over blocks, and the epilogue.
//
// An instruction set brings a Block type, a template over the weight bits:
//   static int tiles_at_once(int64_t rows, int64_t tiles_left)   outputs / 16 that one call takes
//   static constexpr int kMaxRows, kMaxTiles
//   static void run(int rows, int tiles, const BlockInput&, int32_t* acc)
// which writes acc (rows, tiles * 16) int32, row-major: the exact sums over K.
#pragma once
#include "kernels/generic/lanes.h"

namespace halfbyte {
namespace {

struct BlockInput {
  const int8_t* codes;     // first row of x
  int64_t stride;          // from row to row
  const uint8_t* weights;  // first tile
  int64_t groups;          // 64-byte groups along K in a tile
};

// Calls store(m, rows, n, width, acc, acc_stride) for every block of the product.
template <class Block, class Store>
HB_INLINE void for_each_block(int bits, const GemmOperands& g, Store store) {
  alignas(64) int32_t acc[Block::kMaxRows * Block::kMaxTiles * kTileOutputs];
  const int64_t groups = groups_of(bits, g.x.k);
  const int64_t tiles = tiles_of(g.n);
  for (int64_t tile = 0; tile < tiles;) {
    const int at_once = Block::tiles_at_once(g.x.rows, tiles - tile);
    const int64_t n = tile * kTileOutputs;
    const int64_t columns = at_once * kTileOutputs;
    const int64_t width = g.n - n < columns ? g.n - n : columns;
    const uint8_t* weights = g.weights + tile * groups * kGroupBytes;
    for (int64_t m = 0; m < g.x.rows; m += Block::kMaxRows) {
      const int64_t left = g.x.rows - m;
      const int rows = static_cast<int>(left < Block::kMaxRows ? left : Block::kMaxRows);
      Block::run(rows, at_once, {g.x.codes + m * g.x.stride, g.x.stride, weights, groups}, acc);
      store(m, rows, n, width, acc, columns);
    }
    tile += at_once;
  }
}

// ((float(acc) * s_x) * s_w) + bias for 16 outputs.
HB_INLINE Lanes epilogue_lanes(const int32_t* acc, float s_x, Lanes s_w, Lanes bias) {
  return ((to_float(load(acc)) * splat(s_x)) * s_w) + bias;
}

template <class Block>
HB_INLINE void gemm_int_f32(int bits, const GemmOperands& g, const Epilogue& e) {
  for_each_block<Block>(bits, g, [&](int64_t m, int rows, int64_t n, int64_t width,
                                     const int32_t* acc, int64_t acc_stride) {
    for (int64_t i = 0; i < width; i += kLanes) {
      const int64_t count = width - i < kLanes ? width - i : kLanes;
      const bool is_whole = count == kLanes;
      const float* scales = e.scales + n + i;
      const float* bias = e.bias + n + i;
      const Lanes s_w = is_whole ? load(scales) : load_part(scales, count, 0.0f);
      const Lanes b = is_whole ? load(bias) : load_part(bias, count, 0.0f);
      for (int row = 0; row < rows; ++row) {
        const Lanes y = epilogue_lanes(acc + row * acc_stride + i, g.x.scales[m + row], s_w, b);
        float* out = e.out + (m + row) * e.out_stride + n + i;
        is_whole ? store(out, y) : store_part(out, y, count);
      }
    }
  });
}

template <class Block>
HB_INLINE void gemm_int_acc(int bits, const GemmOperands& g, int32_t* out, int64_t out_stride) {
  for_each_block<Block>(bits, g, [&](int64_t m, int rows, int64_t n, int64_t width,
                                     const int32_t* acc, int64_t acc_stride) {
    for (int row = 0; row < rows; ++row)
      std::memcpy(out + (m + row) * out_stride + n, acc + row * acc_stride, width * sizeof(int32_t));
  });
}

}  // namespace
}  // namespace halfbyte
