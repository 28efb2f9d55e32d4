// Integer linear layers for AVX2: 4 rows x 16 outputs (weights of 1 to 7 bits), 2 rows x 16 (8 bits).
//
//   acc[m][n] = sum over k of codes[m][k] * weight[n][k], exact in int32
//
// VPMADDUBSW saturates its pair sums to 16 bits, so it is used only where it cannot: codes of b < 8 bits
// become unsigned (w + z, below 2^b), a pair sum stays within 2 * (2^b - 1) * 128, and as many are added
// as stay below 2^15: eight blocks up to 4 bits, four at 5, two at 6, one at 7. Each row starts from -z sum
// x, as in linear_avx512vnni.h. For 8-bit weights both sides are widened to 16 bits and multiplied with
// VPMADDWD, which is exact.
// Reads codes up to padded_codes(K) of each row, and the packed weights; layouts in packing.h.
#pragma once
#include "kernels/x86/unpack_ymm.h"

namespace halfbyte {
namespace {

template <int kBits>
constexpr int kBlocksAtOnce = kBits <= 4   ? 8
                              : kBits == 5 ? 4
                              : kBits == 6 ? 2
                                           : 1;

// The compiler may not add these values in another order: it would keep all products of several blocks, of
// which there are more than registers, a third slower.
HB_INLINE void keep_order(__m256i& a, __m256i& b) { asm("" : "+x"(a), "+x"(b)); }

// Sums of pairs of products, in 16 bits.
template <int kBits, int kRows>
struct PairSums256 {
  __m256i v[kRows][2];

  // K blocks kBlock..kEnd of the units from `unit` on; kBlock = kFirst starts the sums.
  template <int kFirst, int kBlock, int kEnd>
  HB_INLINE void add(const int8_t* codes, int64_t stride, const uint8_t* unit) {
    const __m256i low = block256<kBits, kBlock, 0>(unit), high = block256<kBits, kBlock, 1>(unit);
#pragma GCC unroll 4
    for (int m = 0; m < kRows; ++m) {
      const __m256i x = broadcast4(codes + m * stride + kBlock * kBlockInputs);
      const __m256i products[2] = {_mm256_maddubs_epi16(low, x), _mm256_maddubs_epi16(high, x)};
#pragma GCC unroll 2
      for (int half = 0; half < 2; ++half)
        v[m][half] = kBlock == kFirst ? products[half] : _mm256_add_epi16(v[m][half], products[half]);
      keep_order(v[m][0], v[m][1]);
    }
    if constexpr (kBlock + 1 < kEnd) add<kFirst, kBlock + 1, kEnd>(codes, stride, unit);
  }
};

template <int kBits, int kRows>
struct Sums256 {
  __m256i v[kRows][2];

  HB_INLINE void start(const BlockInput& in) {
#pragma GCC unroll 4
    for (int m = 0; m < kRows; ++m) v[m][0] = v[m][1] = _mm256_set1_epi32(-kZero<kBits> * in.sums[m]);
  }

  // K blocks kFirst..kEnd of the units from `unit` on.
  template <int kFirst, int kEnd>
  HB_INLINE void add_blocks(const int8_t* codes, int64_t stride, const uint8_t* unit) {
    constexpr int kLeft = kEnd - kFirst;
    constexpr int kNext = kFirst + (kLeft < kBlocksAtOnce<kBits> ? kLeft : kBlocksAtOnce<kBits>);
    PairSums256<kBits, kRows> pairs;
    pairs.template add<kFirst, kFirst, kNext>(codes, stride, unit);
#pragma GCC unroll 4
    for (int m = 0; m < kRows; ++m)
#pragma GCC unroll 2
      for (int half = 0; half < 2; ++half)
        v[m][half] = _mm256_add_epi32(v[m][half], _mm256_madd_epi16(pairs.v[m][half], _mm256_set1_epi16(1)));
    if constexpr (kNext < kEnd) add_blocks<kNext, kEnd>(codes, stride, unit);
  }
};

template <int kBits, int kRows>
void accumulate256(const BlockInput& in, int32_t* acc) {
  constexpr int kInputs = unit_inputs(kBits), kBlocks = kInputs / kBlockInputs;
  constexpr int kUnits = kBlocks < kBlocksAtOnce<kBits> ? kBlocksAtOnce<kBits> / kBlocks : 1;
  Sums256<kBits, kRows> sums;
  sums.start(in);
  int64_t unit = 0;
  for (; unit + kUnits <= in.units; unit += kUnits)
    sums.template add_blocks<0, kUnits * kBlocks>(in.codes + unit * kInputs, in.stride,
                                                  in.weights + unit * unit_bytes(kBits));
  if constexpr (kUnits > 1)
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
      const __m256i w =
          _mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(weights + quarter * 16)));
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
struct BlockAvx2 : OneTileBlock<4> {
  static void run(int rows, int, const BlockInput& in, int32_t* acc) {
    with_row_count<4>(rows, [&](auto count) { accumulate256<kBits, count.value>(in, acc); });
  }
};

template <>
struct BlockAvx2<8> : OneTileBlock<2> {
  static void run(int rows, int, const BlockInput& in, int32_t* acc) {
    with_row_count<2>(rows, [&](auto count) { accumulate_w8_256<count.value>(in, acc); });
  }
};

// See Kernels::spin. The mixture of one group of four blocks: four products, three sums, one widening, one
// sum.
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
