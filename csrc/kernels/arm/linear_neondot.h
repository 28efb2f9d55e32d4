// Integer linear layers for NEON with dot products (SDOT): 4 rows x 16 outputs.
//
//   acc[m][n] = sum over k of codes[m][k] * weight[n][k], exact in int32
//
// SDOT multiplies four bytes by four and adds them to a sum in 32 bits: a quarter of a K block as it is
// packed. Reads codes up to padded_codes(K) of each row, and the packed weights; layouts in packing.h.
#pragma once
#include "kernels/arm/unpack_neon.h"

namespace halfbyte {
namespace {

template <int kBits, int kRows>
struct SumsNeondot {
  int32x4_t v[kRows][4];  // quarters of outputs

  HB_INLINE explicit SumsNeondot(const BlockInput&) {
#pragma GCC unroll 4
    for (int m = 0; m < kRows; ++m)
#pragma GCC unroll 4
      for (int quarter = 0; quarter < 4; ++quarter) v[m][quarter] = vdupq_n_s32(0);
  }

  HB_INLINE void store(int32_t* acc) const {
#pragma GCC unroll 4
    for (int m = 0; m < kRows; ++m)
#pragma GCC unroll 4
      for (int quarter = 0; quarter < 4; ++quarter)
        vst1q_s32(acc + m * kTileOutputs + quarter * 4, v[m][quarter]);
  }

  template <int kBlock, int kLane>
  HB_INLINE void add_block(const int8x16_t* x, const uint8_t* unit) {
    const int8x16_t weights[4] = {block_neon<kBits, kBlock, 0>(unit), block_neon<kBits, kBlock, 1>(unit),
                                  block_neon<kBits, kBlock, 2>(unit), block_neon<kBits, kBlock, 3>(unit)};
#pragma GCC unroll 4
    for (int m = 0; m < kRows; ++m)
#pragma GCC unroll 4
      for (int quarter = 0; quarter < 4; ++quarter)
        v[m][quarter] = vdotq_laneq_s32(v[m][quarter], weights[quarter], x[m], kLane);
  }

  template <int kFirst, int kCount>
  HB_INLINE void add(const int8_t* codes, int64_t stride, const uint8_t* unit) {
    int8x16_t x[kRows];
#pragma GCC unroll 4
    for (int m = 0; m < kRows; ++m) x[m] = load_codes<kCount>(codes + m * stride);
    add_block<kFirst, 0>(x, unit);
    if constexpr (kCount > 1) add_block<kFirst + 1, 1>(x, unit);
    if constexpr (kCount > 2) add_block<kFirst + 2, 2>(x, unit);
    if constexpr (kCount > 3) add_block<kFirst + 3, 3>(x, unit);
  }

  // kCount K blocks of a row.
  template <int kCount>
  static HB_INLINE int8x16_t load_codes(const int8_t* codes) {
    if constexpr (kCount == 4) return load16(codes);
    if constexpr (kCount == 1) return broadcast4(codes);
    return vcombine_s8(vld1_s8(codes), vdup_n_s8(0));
  }
};

template <int kBits>
struct BlockNeondot : OneTileBlock<4> {
  static void run(int rows, int, const BlockInput& in, int32_t* acc) {
    with_row_count<4>(rows,
                      [&](auto count) { accumulate_neon<kBits, SumsNeondot<kBits, count.value>>(in, acc); });
  }
};

}  // namespace
}  // namespace halfbyte
