// Integer GEMM with VPDPBUSD: 8 rows x 32 outputs in registers, or 4 rows x 64 for few rows.
//
//   acc[m][n] = sum over k of codes[m][k] * weight[n][k], exact in int32
//
// VPDPBUSD multiplies unsigned by signed bytes. Weights become unsigned on the fly by adding a zero
// point z (8 or 128: flipping the top bit of a code), activations stay signed, so
//   sum x (w + z) = sum x w + z sum x,
// and each row starts from -z sum x. The instruction wraps, so the result is exact whenever the true sum
// fits int32 (largest_k in kernels.h), whatever the steps between.
// Reads codes up to padded_codes(K) of each row, and the packed weights; layouts in packing.h.
#include "kernels/x86/gemm_int_avx512vnni.h"

#include <immintrin.h>

#include "kernels/generic/gemm_int.h"

namespace halfbyte {
namespace {

// Sums of up to 8 rows of codes; `bytes` is a multiple of 64 and the padding is zero.
HB_INLINE int32_t row_sum_codes(const int8_t* codes, int64_t bytes) {
  const __m512i ones = _mm512_set1_epi8(1);
  __m512i sum = _mm512_setzero_si512();
  for (int64_t k = 0; k < bytes; k += 64)
    sum = _mm512_dpbusd_epi32(sum, ones, _mm512_loadu_si512(codes + k));
  return _mm512_reduce_add_epi32(sum);
}

// Four codes of a row, in all lanes.
HB_INLINE __m512i broadcast4(const int8_t* codes) {
  int32_t word;
  std::memcpy(&word, codes, sizeof word);
  return _mm512_set1_epi32(word);
}

// A group of 4-bit codes as w + 8: its first K block, then its second.
HB_INLINE __m512i low_block_w4(__m512i group) {
  // (group ^ 0x88) & 0x0f
  return _mm512_ternarylogic_epi32(group, _mm512_set1_epi8(static_cast<char>(0x88)),
                                   _mm512_set1_epi8(0x0f), 0x28);
}
HB_INLINE __m512i high_block_w4(__m512i group) {
  return low_block_w4(_mm512_srli_epi32(group, 4));
}

template <int kRows, int kTiles>
struct Sums {
  __m512i v[kRows][kTiles];

  HB_INLINE void add(const int8_t* codes, int64_t stride, const __m512i (&weights)[kTiles]) {
#pragma GCC unroll 8
    for (int m = 0; m < kRows; ++m) {
      const __m512i x = broadcast4(codes + m * stride);
#pragma GCC unroll 4
      for (int t = 0; t < kTiles; ++t) v[m][t] = _mm512_dpbusd_epi32(v[m][t], weights[t], x);
    }
  }
};

template <int kBits, int kRows, int kTiles>
HB_INLINE void accumulate(const BlockInput& in, int32_t* acc) {
  constexpr int kZero = kBits == 4 ? 8 : 128;
  constexpr int kGroupInputs = kBits == 4 ? 8 : 4;
  const int64_t bytes = padded_codes(in.groups * kGroupInputs);
  const int64_t tile_bytes = in.groups * kGroupBytes;
  Sums<kRows, kTiles> sums;
#pragma GCC unroll 8
  for (int m = 0; m < kRows; ++m) {
    const int32_t start = -kZero * row_sum_codes(in.codes + m * in.stride, bytes);
#pragma GCC unroll 4
    for (int t = 0; t < kTiles; ++t) sums.v[m][t] = _mm512_set1_epi32(start);
  }
  for (int64_t group = 0; group < in.groups; ++group) {
    const uint8_t* weights = in.weights + group * kGroupBytes;
    const int8_t* codes = in.codes + group * kGroupInputs;
    __m512i packed[kTiles], block[kTiles];
#pragma GCC unroll 4
    for (int t = 0; t < kTiles; ++t) {
      packed[t] = _mm512_loadu_si512(weights + t * tile_bytes);
      block[t] = kBits == 4 ? low_block_w4(packed[t])
                            : _mm512_xor_si512(packed[t], _mm512_set1_epi8(static_cast<char>(0x80)));
    }
    sums.add(codes, in.stride, block);
    if (kBits == 8) continue;
#pragma GCC unroll 4
    for (int t = 0; t < kTiles; ++t) block[t] = high_block_w4(packed[t]);
    sums.add(codes + kBlockInputs, in.stride, block);
  }
#pragma GCC unroll 8
  for (int m = 0; m < kRows; ++m)
#pragma GCC unroll 4
    for (int t = 0; t < kTiles; ++t)
      _mm512_storeu_si512(acc + (m * kTiles + t) * kTileOutputs, sums.v[m][t]);
}

template <int kBits, int kTiles>
void accumulate_rows(int rows, const BlockInput& in, int32_t* acc) {
  switch (rows) {
    case 1: return accumulate<kBits, 1, kTiles>(in, acc);
    case 2: return accumulate<kBits, 2, kTiles>(in, acc);
    case 3: return accumulate<kBits, 3, kTiles>(in, acc);
    case 4: return accumulate<kBits, 4, kTiles>(in, acc);
  }
  if constexpr (kTiles <= 2) {
    switch (rows) {
      case 5: return accumulate<kBits, 5, kTiles>(in, acc);
      case 6: return accumulate<kBits, 6, kTiles>(in, acc);
      case 7: return accumulate<kBits, 7, kTiles>(in, acc);
      default: return accumulate<kBits, 8, kTiles>(in, acc);
    }
  }
}

template <int kBits>
struct Block {
  static constexpr int kMaxRows = 8;
  static constexpr int kMaxTiles = 4;

  static int tiles_at_once(int64_t rows, int64_t tiles_left) {
    if (rows <= 4 && tiles_left >= 4) return 4;
    return tiles_left >= 2 ? 2 : 1;
  }

  static void run(int rows, int tiles, const BlockInput& in, int32_t* acc) {
    if (tiles == 4) return accumulate_rows<kBits, 4>(rows, in, acc);
    if (tiles == 2) return accumulate_rows<kBits, 2>(rows, in, acc);
    accumulate_rows<kBits, 1>(rows, in, acc);
  }
};

}  // namespace

void gemm_w4a8_8x32_avx512vnni(const GemmOperands& g, const Epilogue& e) {
  gemm_int_f32<Block<4>>(4, g, e);
}
void gemm_w8a8_8x32_avx512vnni(const GemmOperands& g, const Epilogue& e) {
  gemm_int_f32<Block<8>>(8, g, e);
}
void gemm_w4_int32_8x32_avx512vnni(const GemmOperands& g, int32_t* acc, int64_t stride) {
  gemm_int_acc<Block<4>>(4, g, acc, stride);
}
void gemm_w8_int32_8x32_avx512vnni(const GemmOperands& g, int32_t* acc, int64_t stride) {
  gemm_int_acc<Block<8>>(8, g, acc, stride);
}

}  // namespace halfbyte
