// Integer linear layers for AVX2: 4 rows x 16 outputs (weights of 1 to 7 bits), 2 rows x 16 (8 bits).
//
//   acc[m][n] = sum over k of codes[m][k] * weight[n][k], exact in int32
//
// VPMADDUBSW saturates its pair sums to 16 bits, so it is used only where it cannot: codes of b < 8 bits
// become unsigned (w + z, below 2^b), a pair sum stays within 2 * (2^b - 1) * 128, and as many are added
// as stay below 2^15: four blocks up to 5 bits, two at 6, one at 7. Each row starts from -z sum x, as in
// linear_avx512vnni.h. For 8-bit weights both sides are widened to 16 bits and multiplied with VPMADDWD,
// which is exact.
// Reads codes up to padded_codes(K) of each row, and the packed weights; layouts in packing.h.
#pragma once
#include "kernels/x86/unpack_ymm.h"

namespace halfbyte {
namespace {

template <int kBits>
constexpr int kBlocksAtOnce = kBits <= 5 ? 4 : kBits == 6 ? 2 : 1;

template <int kBits, int kRows>
struct Sums256 {
  __m256i v[kRows][2];

  HB_INLINE void start(const BlockInput& in) {
#pragma GCC unroll 4
    for (int m = 0; m < kRows; ++m)
      v[m][0] = v[m][1] = _mm256_set1_epi32(-kZero<kBits> * in.sums[m]);
  }

  // K blocks kFirst.. (kCount of them) of the units from `unit` on, for outputs 8 * kHalf...
  template <int kFirst, int kCount, int kHalf>
  HB_INLINE void add_half(const int8_t* codes, int64_t stride, const uint8_t* unit) {
    __m256i weights[4];
    weights[0] = block256<kBits, kFirst, kHalf>(unit);
    if constexpr (kCount > 1) weights[1] = block256<kBits, kFirst + 1, kHalf>(unit);
    if constexpr (kCount > 2) weights[2] = block256<kBits, kFirst + 2, kHalf>(unit);
    if constexpr (kCount > 3) weights[3] = block256<kBits, kFirst + 3, kHalf>(unit);
    codes += kFirst * kBlockInputs;
#pragma GCC unroll 4
    for (int m = 0; m < kRows; ++m) {
      const int8_t* x = codes + m * stride;
      __m256i pairs = _mm256_maddubs_epi16(weights[0], broadcast4(x));
#pragma GCC unroll 3
      for (int i = 1; i < kCount; ++i)
        pairs = _mm256_add_epi16(
            pairs, _mm256_maddubs_epi16(weights[i], broadcast4(x + i * kBlockInputs)));
      v[m][kHalf] =
          _mm256_add_epi32(v[m][kHalf], _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
    }
  }

  // K blocks kFirst..kEnd of the units from `unit` on.
  template <int kFirst, int kEnd>
  HB_INLINE void add_blocks(const int8_t* codes, int64_t stride, const uint8_t* unit) {
    constexpr int kLeft = kEnd - kFirst;
    constexpr int kCount = kLeft < kBlocksAtOnce<kBits> ? kLeft : kBlocksAtOnce<kBits>;
    add_half<kFirst, kCount, 0>(codes, stride, unit);
    add_half<kFirst, kCount, 1>(codes, stride, unit);
    if constexpr (kCount < kLeft) add_blocks<kFirst + kCount, kEnd>(codes, stride, unit);
  }
};

template <int kBits, int kRows>
void accumulate256(const BlockInput& in, int32_t* acc) {
  constexpr int kInputs = unit_inputs(kBits), kBlocks = kInputs / kBlockInputs;
  Sums256<kBits, kRows> sums;
  sums.start(in);
  int64_t unit = 0;
  if constexpr (kBlocks < kBlocksAtOnce<kBits>)
    for (; unit + 2 <= in.units; unit += 2)
      sums.template add_blocks<0, 2 * kBlocks>(in.codes + unit * kInputs, in.stride,
                                               in.weights + unit * unit_bytes(kBits));
  for (; unit < in.units; ++unit)
    sums.template add_blocks<0, kBlocks>(in.codes + unit * kInputs, in.stride,
                                         in.weights + unit * unit_bytes(kBits));
#pragma GCC unroll 4
  for (int m = 0; m < kRows; ++m) {
    store32(acc + m * kTileOutputs, sums.v[m][0]);
    store32(acc + m * kTileOutputs + 8, sums.v[m][1]);
  }
}

// Adjacent 32-bit pairs of two registers of four outputs each -> eight outputs in order.
HB_INLINE __m256i join_pairs(__m256i first4, __m256i last4) {
  return _mm256_permute4x64_epi64(_mm256_hadd_epi32(first4, last4), 0xd8);
}

template <int kRows>
void accumulate_w8_256(const BlockInput& in, int32_t* acc) {
  __m256i sum[kRows][4];  // a register holds four outputs, two partial sums each
#pragma GCC unroll 2
  for (int m = 0; m < kRows; ++m)
#pragma GCC unroll 4
    for (int quarter = 0; quarter < 4; ++quarter) sum[m][quarter] = _mm256_setzero_si256();
  for (int64_t unit = 0; unit < in.units; ++unit) {
    const uint8_t* weights = in.weights + unit * kGroupBytes;
    const int8_t* codes = in.codes + unit * kBlockInputs;
    __m256i x[kRows];
#pragma GCC unroll 2
    for (int m = 0; m < kRows; ++m)
      x[m] = _mm256_cvtepi8_epi16(_mm256_castsi256_si128(broadcast4(codes + m * in.stride)));
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

template <int kBits>
struct BlockAvx2 {
  static constexpr int kMaxRows = 4;
  static constexpr int kMaxTiles = 1;
  static int tiles_at_once(int64_t, int64_t) { return 1; }

  static void run(int rows, int, const BlockInput& in, int32_t* acc) {
    switch (rows) {
      case 1: return accumulate256<kBits, 1>(in, acc);
      case 2: return accumulate256<kBits, 2>(in, acc);
      case 3: return accumulate256<kBits, 3>(in, acc);
      default: return accumulate256<kBits, 4>(in, acc);
    }
  }
};

template <>
struct BlockAvx2<8> {
  static constexpr int kMaxRows = 2;
  static constexpr int kMaxTiles = 1;
  static int tiles_at_once(int64_t, int64_t) { return 1; }

  static void run(int rows, int, const BlockInput& in, int32_t* acc) {
    rows == 1 ? accumulate_w8_256<1>(in, acc) : accumulate_w8_256<2>(in, acc);
  }
};

// See Kernels::spin. The mixture of one group of four blocks: four products, three sums, one widening, one sum.
[[maybe_unused]] int64_t spin_avx2(int64_t rounds) {
  constexpr int kChains = 8;
  __m256i sums[kChains] = {}, a = bytes256(1), b = bytes256(2);
  const __m256i ones = _mm256_set1_epi16(1);
  for (int64_t round = 0; round < rounds; ++round) {
#pragma GCC unroll 8
    for (int i = 0; i < kChains; ++i) {
      __m256i pairs = _mm256_maddubs_epi16(a, b);
#pragma GCC unroll 3
      for (int more = 0; more < 3; ++more) {
        asm volatile("" : "+x"(a));
        pairs = _mm256_add_epi16(pairs, _mm256_maddubs_epi16(a, b));
      }
      sums[i] = _mm256_add_epi32(sums[i], _mm256_madd_epi16(pairs, ones));
      asm volatile("" : "+x"(sums[i]));
    }
  }
  return rounds * kChains * 4 * 32;
}

}  // namespace
}  // namespace halfbyte
