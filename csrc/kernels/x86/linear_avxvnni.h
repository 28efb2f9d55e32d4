// Integer linear layers with VPDPBUSD on 256-bit registers (AVX-VNNI): 6 rows x 16 outputs.
//
//   acc[m][n] = sum over k of codes[m][k] * weight[n][k], exact in int32
//
// The arithmetic is that of linear_avx512vnni.h: unsigned weights w + z, rows start from -z sum x.
// Reads codes up to padded_codes(K) of each row, and the packed weights; layouts in packing.h.
#pragma once
#include "kernels/x86/unpack_ymm.h"

namespace halfbyte {
namespace {

HB_INLINE __m256i dot256(__m256i sum, __m256i weights, __m256i x) {
#if defined(__AVXVNNI__)
  return _mm256_dpbusd_avx_epi32(sum, weights, x);
#else  // the same instruction in the encoding of AVX-512 VNNI, for tests
  return _mm256_dpbusd_epi32(sum, weights, x);
#endif
}

template <int kBits, int kRows>
struct DotSums256 {
  __m256i v[kRows][2];

  HB_INLINE void start(const BlockInput& in) {
#pragma GCC unroll 6
    for (int m = 0; m < kRows; ++m) v[m][0] = v[m][1] = _mm256_set1_epi32(-kZero<kBits> * in.sums[m]);
  }

  // K blocks kBlock.. of a unit.
  template <int kBlock>
  HB_INLINE void add_unit(const int8_t* codes, int64_t stride, const uint8_t* unit) {
    const __m256i low = block256<kBits, kBlock, 0>(unit), high = block256<kBits, kBlock, 1>(unit);
#pragma GCC unroll 6
    for (int m = 0; m < kRows; ++m) {
      const __m256i x = broadcast4(codes + kBlock * kBlockInputs + m * stride);
      v[m][0] = dot256(v[m][0], low, x);
      v[m][1] = dot256(v[m][1], high, x);
    }
    if constexpr ((kBlock + 1) * kBlockInputs < unit_inputs(kBits)) add_unit<kBlock + 1>(codes, stride, unit);
  }
};

template <int kBits, int kRows>
void accumulate_dot256(const BlockInput& in, int32_t* acc) {
  DotSums256<kBits, kRows> sums;
  sums.start(in);
  for (int64_t unit = 0; unit < in.units; ++unit)
    sums.template add_unit<0>(in.codes + unit * unit_inputs(kBits), in.stride,
                              in.weights + unit * unit_bytes(kBits));
#pragma GCC unroll 6
  for (int m = 0; m < kRows; ++m) {
    store32(acc + m * kTileOutputs, sums.v[m][0]);
    store32(acc + m * kTileOutputs + 8, sums.v[m][1]);
  }
}

template <int kBits>
struct BlockAvxvnni : OneTileBlock<6> {
  static void run(int rows, int, const BlockInput& in, int32_t* acc) {
    with_row_count<6>(rows, [&](auto count) { accumulate_dot256<kBits, count.value>(in, acc); });
  }
};

// See Kernels::spin.
[[maybe_unused]] int64_t spin_avxvnni(int64_t rounds) {
  constexpr int kChains = 12;
  __m256i sums[kChains] = {}, a = bytes256(1), b = bytes256(2);
  for (int64_t round = 0; round < rounds; ++round) {
#pragma GCC unroll 12
    for (int i = 0; i < kChains; ++i) {
      sums[i] = dot256(sums[i], a, b);
      asm volatile("" : "+x"(sums[i]));
    }
  }
  return rounds * kChains * 32;
}

}  // namespace
}  // namespace halfbyte
