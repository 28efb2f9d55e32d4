// Integer linear layers in plain C++: the reading of the packed layout that all others must equal.
//
//   acc[m][n] = sum over k of codes[m][k] * weight[n][k], exact in int32
//
// Layouts, alignment and the largest K: kernels.h and packing.h. An instruction set that has no kernel of
// its own for some width includes this one.
#pragma once
#include "kernels/generic/linear.h"

namespace halfbyte {
namespace {

// The codes of one K block of a unit: codes[output * 4 + input].
template <int kBits>
HB_INLINE void decode_block(const uint8_t* unit, int block, int16_t* codes) {
  for (int i = 0; i < kGroupBytes; ++i) {
    if (kBits == 8) {
      codes[i] = static_cast<int8_t>(unit[i]);
      continue;
    }
    const uint8_t* group = unit;
    int value = 0, place = 0;
    for (int width = 4; width > 0; width /= 2) {
      if (!(kBits & width)) continue;
      const int per_group = 8 / width;
      const int byte = group[block / per_group * kGroupBytes + i];
      value |= ((byte >> (block % per_group * width)) & ((1 << width) - 1)) << place;
      group += unit_inputs(kBits) / (kBlockInputs * per_group) * kGroupBytes;
      place += width;
    }
    constexpr int kSign = 1 << (kBits - 1);
    codes[i] = static_cast<int16_t>(kBits == 1 ? 2 * value - 1 : (value ^ kSign) - kSign);
  }
}

HB_INLINE void add_block(const int8_t* x, const int16_t* weights, int32_t* acc) {
  for (int n = 0; n < kTileOutputs; ++n) {
    const int16_t* w = weights + n * kBlockInputs;
    acc[n] += x[0] * w[0] + x[1] * w[1] + x[2] * w[2] + x[3] * w[3];
  }
}

template <int kBits>
struct BlockPortable {
  static constexpr int kMaxRows = 8;
  static constexpr int kMaxTiles = 1;
  static int tiles_at_once(int64_t, int64_t) { return 1; }

  static void run(int rows, int, const BlockInput& in, int32_t* acc) {
    constexpr int kBlocks = unit_inputs(kBits) / kBlockInputs;
    int16_t codes[kGroupBytes];
    std::memset(acc, 0, rows * kTileOutputs * sizeof(int32_t));
    const int8_t* x = in.codes;
    for (int64_t unit = 0; unit < in.units; ++unit)
      for (int block = 0; block < kBlocks; ++block, x += kBlockInputs) {
        decode_block<kBits>(in.weights + unit * unit_bytes(kBits), block, codes);
        for (int row = 0; row < rows; ++row) add_block(x + row * in.stride, codes, acc + row * kTileOutputs);
      }
  }
};

}  // namespace
}  // namespace halfbyte
