// Integer linear layers for NEON without dot products: 2 rows x 16 outputs.
//
//   acc[m][n] = sum over k of codes[m][k] * weight[n][k], exact in int32
//
// SMULL and SMLAL add products of bytes in 16 bits; a product of codes of b bits is at most 2^(b-1) * 128 in
// size, so four are added up to 6 bits, two at 7, and one at 8, before SADALP adds pairs of them to the sums
// in 32 bits.
// Reads codes up to padded_codes(K) of each row, and the packed weights; layouts in packing.h.
#pragma once
#include "kernels/arm/unpack_neon.h"

namespace halfbyte {
namespace {

template <int kBits>
constexpr int kProductsAtOnce = kBits <= 6   ? 4
                                : kBits == 7 ? 2
                                             : 1;

template <int kBits, int kRows>
struct SumsNeon {
  int32x4_t v[kRows][4][2];  // quarters of outputs; two outputs each, of which two sums each

  HB_INLINE explicit SumsNeon(const BlockInput&) {
#pragma GCC unroll 2
    for (int m = 0; m < kRows; ++m)
#pragma GCC unroll 4
      for (int quarter = 0; quarter < 4; ++quarter) v[m][quarter][0] = v[m][quarter][1] = vdupq_n_s32(0);
  }

  HB_INLINE void store(int32_t* acc) const {
#pragma GCC unroll 2
    for (int m = 0; m < kRows; ++m)
#pragma GCC unroll 4
      for (int quarter = 0; quarter < 4; ++quarter)
        vst1q_s32(acc + m * kTileOutputs + quarter * 4, vpaddq_s32(v[m][quarter][0], v[m][quarter][1]));
  }

  // K blocks kFirst.. (kCount of them, at most kProductsAtOnce) for the outputs 4 * kQuarter...
  template <int kFirst, int kCount, int kQuarter>
  HB_INLINE void add_products(const int8x16_t (*x)[4], int from, const uint8_t* unit) {
    int8x16_t weights[4];
    weights[0] = block_neon<kBits, kFirst, kQuarter>(unit);
    if constexpr (kCount > 1) weights[1] = block_neon<kBits, kFirst + 1, kQuarter>(unit);
    if constexpr (kCount > 2) weights[2] = block_neon<kBits, kFirst + 2, kQuarter>(unit);
    if constexpr (kCount > 3) weights[3] = block_neon<kBits, kFirst + 3, kQuarter>(unit);
#pragma GCC unroll 2
    for (int m = 0; m < kRows; ++m) {
      int16x8_t low = vmull_s8(vget_low_s8(weights[0]), vget_low_s8(x[m][from]));
      int16x8_t high = vmull_high_s8(weights[0], x[m][from]);
#pragma GCC unroll 4
      for (int i = 1; i < kCount; ++i) {
        low = vmlal_s8(low, vget_low_s8(weights[i]), vget_low_s8(x[m][from + i]));
        high = vmlal_high_s8(high, weights[i], x[m][from + i]);
      }
      v[m][kQuarter][0] = vpadalq_s16(v[m][kQuarter][0], low);
      v[m][kQuarter][1] = vpadalq_s16(v[m][kQuarter][1], high);
    }
  }

  template <int kFirst, int kCount, int kFrom>
  HB_INLINE void add_some(const int8x16_t (*x)[4], const uint8_t* unit) {
    constexpr int kLeft = kCount - kFrom;
    constexpr int kNow = kLeft < kProductsAtOnce<kBits> ? kLeft : kProductsAtOnce<kBits>;
    add_products<kFirst + kFrom, kNow, 0>(x, kFrom, unit);
    add_products<kFirst + kFrom, kNow, 1>(x, kFrom, unit);
    add_products<kFirst + kFrom, kNow, 2>(x, kFrom, unit);
    add_products<kFirst + kFrom, kNow, 3>(x, kFrom, unit);
    if constexpr (kNow < kLeft) add_some<kFirst, kCount, kFrom + kNow>(x, unit);
  }

  template <int kFirst, int kCount>
  HB_INLINE void add(const int8_t* codes, int64_t stride, const uint8_t* unit) {
    int8x16_t x[kRows][4];
#pragma GCC unroll 2
    for (int m = 0; m < kRows; ++m)
#pragma GCC unroll 4
      for (int i = 0; i < kCount; ++i) x[m][i] = broadcast4(codes + m * stride + i * kBlockInputs);
    add_some<kFirst, kCount, 0>(x, unit);
  }
};

template <int kBits>
struct BlockNeon : OneTileBlock<2> {
  static void run(int rows, int, const BlockInput& in, int32_t* acc) {
    with_row_count<2>(rows,
                      [&](auto count) { accumulate_neon<kBits, SumsNeon<kBits, count.value>>(in, acc); });
  }
};

}  // namespace
}  // namespace halfbyte
