// Integer GEMM for AVX2: 4 rows x 16 outputs (4-bit weights), 2 rows x 16 (8-bit weights).
//
//   acc[m][n] = sum over k of codes[m][k] * weight[n][k], exact in int32
//
// VPMADDUBSW saturates its pair sums to 16 bits, so it is used only where it cannot: 4-bit weights
// become w + 8 in 0..15, a pair sum stays within 2 * 15 * 128 = 3840, two of them within 7680, and the
// surplus 8 sum x is taken off at the start as in gemm_int_avx512vnni.cc. For 8-bit weights both sides
// are widened to 16 bits and multiplied with VPMADDWD, which is exact.
// Reads codes up to padded_codes(K) of each row, and the packed weights; layouts in packing.h.
#include "kernels/x86/gemm_int_avx2.h"

#include <immintrin.h>

#include "kernels/generic/gemm_int.h"

namespace halfbyte {
namespace {

HB_INLINE __m256i load32(const void* p) {
  return _mm256_loadu_si256(static_cast<const __m256i*>(p));
}
HB_INLINE void store32(void* p, __m256i v) { _mm256_storeu_si256(static_cast<__m256i*>(p), v); }

HB_INLINE int32_t word_at(const int8_t* codes) {
  int32_t word;
  std::memcpy(&word, codes, sizeof word);
  return word;
}

HB_INLINE int32_t row_sum_codes(const int8_t* codes, int64_t bytes) {
  const __m256i ones8 = _mm256_set1_epi8(1);
  const __m256i ones16 = _mm256_set1_epi16(1);
  __m256i sum = _mm256_setzero_si256();
  for (int64_t k = 0; k < bytes; k += 32)
    sum = _mm256_add_epi32(
        sum, _mm256_madd_epi16(_mm256_maddubs_epi16(ones8, load32(codes + k)), ones16));
  int32_t lanes[8];
  store32(lanes, sum);
  return lanes[0] + lanes[1] + lanes[2] + lanes[3] + lanes[4] + lanes[5] + lanes[6] + lanes[7];
}

// Eight outputs of a group of 4-bit codes as w + 8, in the low nibble of each byte.
HB_INLINE __m256i block_w4(__m256i group) {
  const __m256i flipped = _mm256_xor_si256(group, _mm256_set1_epi8(8));
  return _mm256_and_si256(flipped, _mm256_set1_epi8(15));
}

template <int kRows>
HB_INLINE void accumulate_w4(const BlockInput& in, int32_t* acc) {
  const int64_t bytes = padded_codes(in.groups * 8);
  const __m256i ones = _mm256_set1_epi16(1);
  __m256i sum[kRows][2];
#pragma GCC unroll 4
  for (int m = 0; m < kRows; ++m) {
    const int32_t start = -8 * row_sum_codes(in.codes + m * in.stride, bytes);
    sum[m][0] = sum[m][1] = _mm256_set1_epi32(start);
  }
  for (int64_t group = 0; group < in.groups; ++group) {
    const uint8_t* weights = in.weights + group * kGroupBytes;
    const int8_t* codes = in.codes + group * 8;
    __m256i low[2], high[2];
#pragma GCC unroll 2
    for (int half = 0; half < 2; ++half) {
      const __m256i packed = load32(weights + half * 32);
      low[half] = block_w4(packed);
      high[half] = block_w4(_mm256_srli_epi32(packed, 4));
    }
#pragma GCC unroll 4
    for (int m = 0; m < kRows; ++m) {
      const __m256i x0 = _mm256_set1_epi32(word_at(codes + m * in.stride));
      const __m256i x1 = _mm256_set1_epi32(word_at(codes + m * in.stride + kBlockInputs));
#pragma GCC unroll 2
      for (int half = 0; half < 2; ++half) {
        const __m256i pairs = _mm256_add_epi16(_mm256_maddubs_epi16(low[half], x0),
                                               _mm256_maddubs_epi16(high[half], x1));
        sum[m][half] = _mm256_add_epi32(sum[m][half], _mm256_madd_epi16(pairs, ones));
      }
    }
  }
#pragma GCC unroll 4
  for (int m = 0; m < kRows; ++m) {
    store32(acc + m * kTileOutputs, sum[m][0]);
    store32(acc + m * kTileOutputs + 8, sum[m][1]);
  }
}

// Adjacent 32-bit pairs of two registers of four outputs each -> eight outputs in order.
HB_INLINE __m256i join_pairs(__m256i first4, __m256i last4) {
  return _mm256_permute4x64_epi64(_mm256_hadd_epi32(first4, last4), 0xd8);
}

template <int kRows>
HB_INLINE void accumulate_w8(const BlockInput& in, int32_t* acc) {
  __m256i sum[kRows][4];  // a register holds four outputs, two partial sums each
#pragma GCC unroll 2
  for (int m = 0; m < kRows; ++m)
#pragma GCC unroll 4
    for (int quarter = 0; quarter < 4; ++quarter) sum[m][quarter] = _mm256_setzero_si256();
  for (int64_t group = 0; group < in.groups; ++group) {
    const uint8_t* weights = in.weights + group * kGroupBytes;
    const int8_t* codes = in.codes + group * kBlockInputs;
    __m256i x[kRows];
#pragma GCC unroll 2
    for (int m = 0; m < kRows; ++m)
      x[m] = _mm256_cvtepi8_epi16(_mm_set1_epi32(word_at(codes + m * in.stride)));
#pragma GCC unroll 4
    for (int quarter = 0; quarter < 4; ++quarter) {
      const __m256i w = _mm256_cvtepi8_epi16(
          _mm_loadu_si128(reinterpret_cast<const __m128i*>(weights + quarter * 16)));
#pragma GCC unroll 2
      for (int m = 0; m < kRows; ++m)
        sum[m][quarter] = _mm256_add_epi32(sum[m][quarter], _mm256_madd_epi16(w, x[m]));
    }
  }
#pragma GCC unroll 2
  for (int m = 0; m < kRows; ++m) {
    store32(acc + m * kTileOutputs, join_pairs(sum[m][0], sum[m][1]));
    store32(acc + m * kTileOutputs + 8, join_pairs(sum[m][2], sum[m][3]));
  }
}

struct BlockW4 {
  static constexpr int kMaxRows = 4;
  static constexpr int kMaxTiles = 1;
  static int tiles_at_once(int64_t, int64_t) { return 1; }

  static void run(int rows, int, const BlockInput& in, int32_t* acc) {
    switch (rows) {
      case 1: return accumulate_w4<1>(in, acc);
      case 2: return accumulate_w4<2>(in, acc);
      case 3: return accumulate_w4<3>(in, acc);
      default: return accumulate_w4<4>(in, acc);
    }
  }
};

struct BlockW8 {
  static constexpr int kMaxRows = 2;
  static constexpr int kMaxTiles = 1;
  static int tiles_at_once(int64_t, int64_t) { return 1; }

  static void run(int rows, int, const BlockInput& in, int32_t* acc) {
    rows == 1 ? accumulate_w8<1>(in, acc) : accumulate_w8<2>(in, acc);
  }
};

}  // namespace

void gemm_w4a8_4x16_avx2(const GemmOperands& g, const Epilogue& e) {
  gemm_int_f32<BlockW4>(4, g, e);
}
void gemm_w8a8_2x16_avx2(const GemmOperands& g, const Epilogue& e) {
  gemm_int_f32<BlockW8>(8, g, e);
}
void gemm_w4_int32_4x16_avx2(const GemmOperands& g, int32_t* acc, int64_t stride) {
  gemm_int_acc<BlockW4>(4, g, acc, stride);
}
void gemm_w8_int32_2x16_avx2(const GemmOperands& g, int32_t* acc, int64_t stride) {
  gemm_int_acc<BlockW8>(8, g, acc, stride);
}

}  // namespace halfbyte
