// Integer GEMM in plain C++: the reading of the packed layout that all others must equal.
//
//   acc[m][n] = sum over k of codes[m][k] * weight[n][k], exact in int32
//
// Layouts, alignment and the largest K: kernels.h and packing.h.
#include "kernels/reference/gemm_int_portable.h"

#include "kernels/generic/gemm_int.h"

namespace halfbyte {
namespace {

// The codes of a group: [block][output][input].
HB_INLINE int decode_group(int bits, const uint8_t* group, int16_t (*codes)[kGroupBytes]) {
  for (int i = 0; i < kGroupBytes; ++i) {
    if (bits == 8) {
      codes[0][i] = static_cast<int8_t>(group[i]);
    } else {
      codes[0][i] = static_cast<int16_t>(((group[i] & 15) ^ 8) - 8);
      codes[1][i] = static_cast<int16_t>(((group[i] >> 4) ^ 8) - 8);
    }
  }
  return bits == 8 ? 1 : 2;
}

HB_INLINE void add_block(const int8_t* x, const int16_t* weights, int32_t* acc) {
  for (int n = 0; n < kTileOutputs; ++n) {
    const int16_t* w = weights + n * kBlockInputs;
    acc[n] += x[0] * w[0] + x[1] * w[1] + x[2] * w[2] + x[3] * w[3];
  }
}

template <int kBits>
struct Block {
  static constexpr int kMaxRows = 8;
  static constexpr int kMaxTiles = 1;
  static int tiles_at_once(int64_t, int64_t) { return 1; }

  static void run(int rows, int, const BlockInput& in, int32_t* acc) {
    int16_t codes[2][kGroupBytes];
    std::memset(acc, 0, rows * kTileOutputs * sizeof(int32_t));
    int64_t k = 0;
    for (int64_t group = 0; group < in.groups; ++group) {
      const int blocks = decode_group(kBits, in.weights + group * kGroupBytes, codes);
      for (int block = 0; block < blocks; ++block, k += kBlockInputs)
        for (int row = 0; row < rows; ++row)
          add_block(in.codes + row * in.stride + k, codes[block], acc + row * kTileOutputs);
    }
  }
};

}  // namespace

void gemm_w4a8_8x16_portable(const GemmOperands& g, const Epilogue& e) {
  gemm_int_f32<Block<4>>(4, g, e);
}
void gemm_w8a8_8x16_portable(const GemmOperands& g, const Epilogue& e) {
  gemm_int_f32<Block<8>>(8, g, e);
}
void gemm_w4_int32_8x16_portable(const GemmOperands& g, int32_t* acc, int64_t stride) {
  gemm_int_acc<Block<4>>(4, g, acc, stride);
}
void gemm_w8_int32_8x16_portable(const GemmOperands& g, int32_t* acc, int64_t stride) {
  gemm_int_acc<Block<8>>(8, g, acc, stride);
}

}  // namespace halfbyte
