// Integer linear layers for NEON with matrix products of bytes (SMMLA): 4 rows x 16 outputs; a single row
// goes through SDOT.
//
//   acc[m][n] = sum over k of codes[m][k] * weight[n][k], exact in int32
//
// SMMLA multiplies two rows of eight codes by two outputs of eight weights. Two K blocks of four outputs,
// zipped by 32 bits, are two such pairs of outputs.
// Reads codes up to padded_codes(K) of each row, and the packed weights; layouts in packing.h.
#pragma once
#include "kernels/arm/linear_neondot.h"

namespace halfbyte {
namespace {

// Two rows of sums: rows 2p and 2p + 1, outputs 2j and 2j + 1 in v[p][j] = {row, row, row + 1, row + 1}.
template <int kBits, int kRows>
struct SumsNeoni8mm {
  static constexpr int kPairs = (kRows + 1) / 2;
  int32x4_t v[kPairs][8];
  int64_t last_row_offset;  // from row 2 * kPairs - 2 to its partner: 0 where there is none

  HB_INLINE explicit SumsNeoni8mm(const BlockInput& in) : last_row_offset(kRows % 2 == 0 ? in.stride : 0) {
#pragma GCC unroll 2
    for (int p = 0; p < kPairs; ++p)
#pragma GCC unroll 8
      for (int j = 0; j < 8; ++j) v[p][j] = vdupq_n_s32(0);
  }

  HB_INLINE void store(int32_t* acc) const {
#pragma GCC unroll 4
    for (int m = 0; m < kRows; ++m)
#pragma GCC unroll 8
      for (int j = 0; j < 8; ++j)
        vst1_s32(acc + m * kTileOutputs + 2 * j,
                 m % 2 == 0 ? vget_low_s32(v[m / 2][j]) : vget_high_s32(v[m / 2][j]));
  }

  // K blocks kBlock and, if kHasNext, kBlock + 1, for the outputs 4 * kQuarter...
  template <int kBlock, bool kHasNext, int kQuarter>
  HB_INLINE void add_quarter(const int8x16_t* x, const uint8_t* unit) {
    const int32x4_t first = vreinterpretq_s32_s8(block_neon<kBits, kBlock, kQuarter>(unit));
    int32x4_t next = vdupq_n_s32(0);
    if constexpr (kHasNext) next = vreinterpretq_s32_s8(block_neon<kBits, kBlock + 1, kQuarter>(unit));
    const int8x16_t low = vreinterpretq_s8_s32(vzip1q_s32(first, next));
    const int8x16_t high = vreinterpretq_s8_s32(vzip2q_s32(first, next));
#pragma GCC unroll 2
    for (int p = 0; p < kPairs; ++p) {
      v[p][2 * kQuarter] = vmmlaq_s32(v[p][2 * kQuarter], x[p], low);
      v[p][2 * kQuarter + 1] = vmmlaq_s32(v[p][2 * kQuarter + 1], x[p], high);
    }
  }

  template <int kFirst, int kCount>
  HB_INLINE void add(const int8_t* codes, int64_t stride, const uint8_t* unit) {
    int8x16_t x[kPairs];
#pragma GCC unroll 2
    for (int p = 0; p < kPairs; ++p) {
      const int8_t* row = codes + 2 * p * stride;
      const int64_t to_partner = p == kPairs - 1 ? last_row_offset : stride;
      x[p] = vcombine_s8(load8<kCount>(row), load8<kCount>(row + to_partner));
    }
    add_quarter<kFirst, (kCount > 1), 0>(x, unit);
    add_quarter<kFirst, (kCount > 1), 1>(x, unit);
    add_quarter<kFirst, (kCount > 1), 2>(x, unit);
    add_quarter<kFirst, (kCount > 1), 3>(x, unit);
    if constexpr (kCount > 2) add<kFirst + 2, kCount - 2>(codes + 2 * kBlockInputs, stride, unit);
  }

  // Codes of two K blocks; of one, if that is all (the weights beside it are then zero).
  template <int kCount>
  static HB_INLINE int8x8_t load8(const int8_t* codes) {
    if constexpr (kCount > 1) return vld1_s8(codes);
    return vget_low_s8(broadcast4(codes));
  }
};

template <int kBits>
struct BlockNeoni8mm : OneTileBlock<4> {
  static void run(int rows, int, const BlockInput& in, int32_t* acc) {
    with_row_count<4>(rows, [&](auto count) {
      if constexpr (count.value == 1)
        accumulate_neon<kBits, SumsNeondot<kBits, 1>>(in, acc);
      else
        accumulate_neon<kBits, SumsNeoni8mm<kBits, count.value>>(in, acc);
    });
  }
};

}  // namespace
}  // namespace halfbyte
