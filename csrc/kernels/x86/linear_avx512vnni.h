// Integer linear layers with VPDPBUSD on 512-bit registers.
//
//   acc[m][n] = sum over k of codes[m][k] * weight[n][k], exact in int32
//
// VPDPBUSD multiplies unsigned by signed bytes. Weights become unsigned in registers by adding a zero point z
// (2^(b-1): flipping the top bit of a code), activations stay signed, so
//   sum x (w + z) = sum x w + z sum x,
// and each row starts from -z sum x. The instruction wraps, so the result is exact whenever the true sum
// fits int32 (largest_k in kernels.h), whatever the steps between.
// Reads codes up to padded_codes(K) of each row, and the packed weights; layouts in packing.h.
#pragma once
#include <immintrin.h>

#include "kernels/generic/linear.h"

namespace halfbyte {
namespace {

// Four codes of a row, in all lanes.
HB_INLINE __m512i broadcast4_512(const int8_t* codes) {
  int32_t word;
  std::memcpy(&word, codes, sizeof word);
  return _mm512_set1_epi32(word);
}

HB_INLINE __m512i bytes512(int value) { return _mm512_set1_epi8(static_cast<char>(value)); }

// Every byte of `group` moved left by `places` (right if negative), as far as the mask after it can see.
template <int kPlaces>
HB_INLINE __m512i moved512(__m512i group) {
  if constexpr (kPlaces > 0) return _mm512_slli_epi16(group, kPlaces);
  if constexpr (kPlaces < 0) return _mm512_srli_epi16(group, -kPlaces);
  return group;
}

// Bits [kShift, kShift + kWidth) of each byte of a group, at bits [kPlace, ...), or'ed to `lower`.
template <int kShift, int kWidth, int kPlace>
HB_INLINE __m512i with_plane512(__m512i lower, const uint8_t* group) {
  const __m512i moved = moved512<kPlace - kShift>(_mm512_loadu_si512(group));
  const __m512i mask = bytes512(((1 << kWidth) - 1) << kPlace);
  if constexpr (kPlace == 0) return _mm512_and_si512(moved, mask);
  return _mm512_ternarylogic_epi32(lower, moved, mask, 0xf8);  // lower | (moved & mask)
}

// K block kBlock of a unit of b-bit codes, unsigned: code + kZero<b>.
template <int kBits>
constexpr int kZero = kBits == 1 ? 1 : 1 << (kBits - 1);

template <int kBits, int kBlock>
HB_INLINE __m512i block512(const uint8_t* unit) {
  if constexpr (kBits == 8) return _mm512_xor_si512(_mm512_loadu_si512(unit), bytes512(0x80));
  if constexpr (kBits == 4) {  // (moved ^ 0x88) & 0x0f
    const __m512i moved = moved512<-4 * kBlock>(_mm512_loadu_si512(unit));
    return _mm512_ternarylogic_epi32(moved, bytes512(0x88), bytes512(0x0f), 0x28);
  }
  if constexpr (kBits == 1) return with_plane512<kBlock, 1, 1>(__m512i{}, unit);  // 0 or 2
  constexpr int kBlocks = unit_inputs(kBits) / kBlockInputs;
  __m512i codes{};
  if constexpr (kBits & 4) {
    codes = with_plane512<kBlock % 2 * 4, 4, 0>(codes, unit + kBlock / 2 * kGroupBytes);
    unit += kBlocks / 2 * kGroupBytes;
  }
  if constexpr (kBits & 2) {
    codes = with_plane512<kBlock % 4 * 2, 2, kBits & 4>(codes, unit + kBlock / 4 * kGroupBytes);
    unit += kBlocks / 4 * kGroupBytes;
  }
  if constexpr (kBits & 1) codes = with_plane512<kBlock, 1, kBits & 6>(codes, unit);
  return _mm512_xor_si512(codes, bytes512(kZero<kBits>));
}

template <int kBits, int kRows, int kTiles>
struct Sums512 {
  __m512i v[kRows][kTiles];

  HB_INLINE void start(const BlockInput& in) {
#pragma GCC unroll 16
    for (int m = 0; m < kRows; ++m)
#pragma GCC unroll 4
      for (int t = 0; t < kTiles; ++t) v[m][t] = _mm512_set1_epi32(-kZero<kBits> * in.sums[m]);
  }

  // K blocks kBlock.. of a unit of each tile.
  template <int kBlock>
  HB_INLINE void add_unit(const int8_t* codes, int64_t stride, const uint8_t* unit, int64_t tile_bytes) {
    __m512i weights[kTiles];
#pragma GCC unroll 4
    for (int t = 0; t < kTiles; ++t) weights[t] = block512<kBits, kBlock>(unit + t * tile_bytes);
#pragma GCC unroll 16
    for (int m = 0; m < kRows; ++m) {
      const __m512i x = broadcast4_512(codes + kBlock * kBlockInputs + m * stride);
#pragma GCC unroll 4
      for (int t = 0; t < kTiles; ++t) v[m][t] = _mm512_dpbusd_epi32(v[m][t], weights[t], x);
    }
    if constexpr ((kBlock + 1) * kBlockInputs < unit_inputs(kBits))
      add_unit<kBlock + 1>(codes, stride, unit, tile_bytes);
  }
};

// The tiles of the next call lie behind those of this one; asking for them line by line, in order, turns the
// kTiles streams of this call into one.
template <int kBits, int kTiles>
HB_INLINE void prefetch_next_tiles(const uint8_t* next, int64_t unit) {
  constexpr int64_t kBytes = kTiles * unit_bytes(kBits);
#pragma GCC unroll 28
  for (int64_t line = 0; line < kBytes; line += 64)
    _mm_prefetch(reinterpret_cast<const char*>(next + unit * kBytes + line), _MM_HINT_T1);
}

template <int kBits, int kRows, int kTiles>
void accumulate512(const BlockInput& in, int32_t* acc) {
  const int64_t tile_bytes = in.units * unit_bytes(kBits);
  Sums512<kBits, kRows, kTiles> sums;
  sums.start(in);
  for (int64_t unit = 0; unit < in.units; ++unit) {
    prefetch_next_tiles<kBits, kTiles>(in.weights + kTiles * tile_bytes, unit);
    sums.template add_unit<0>(in.codes + unit * unit_inputs(kBits), in.stride,
                              in.weights + unit * unit_bytes(kBits), tile_bytes);
  }
#pragma GCC unroll 16
  for (int m = 0; m < kRows; ++m)
#pragma GCC unroll 4
    for (int t = 0; t < kTiles; ++t) _mm512_storeu_si512(acc + (m * kTiles + t) * kTileOutputs, sums.v[m][t]);
}

// Four tiles of 4-bit codes for few rows, where unpacking counts: the high nibble stays where it is, as 16 (w
// + z), and has sums of its own, divided at the end. They must fit int32: 16 * 15 * 128 for each of K/2
// inputs.
constexpr int64_t kLargestSplitK = 131071;

template <int kRows>
void accumulate_split512(const BlockInput& in, int32_t* acc) {
  constexpr int kTiles = 4;
  const int64_t tile_bytes = in.units * unit_bytes(4);
  const __m512i flip = bytes512(0x88), low_mask = bytes512(0x0f), high_mask = bytes512(0xf0);
  Sums512<4, kRows, kTiles> low, high{};
  low.start(in);
  for (int64_t unit = 0; unit < in.units; ++unit) {
    prefetch_next_tiles<4, kTiles>(in.weights + kTiles * tile_bytes, unit);
    const uint8_t* weights = in.weights + unit * unit_bytes(4);
    const int8_t* codes = in.codes + unit * unit_inputs(4);
#pragma GCC unroll 4
    for (int t = 0; t < kTiles; ++t) {
      const __m512i packed = _mm512_loadu_si512(weights + t * tile_bytes);
      const __m512i w = _mm512_ternarylogic_epi32(packed, flip, low_mask, 0x28);  // (packed ^ flip) & mask
      const __m512i next = _mm512_ternarylogic_epi32(packed, flip, high_mask, 0x28);
#pragma GCC unroll 2
      for (int m = 0; m < kRows; ++m) {
        const int8_t* x = codes + m * in.stride;
        low.v[m][t] = _mm512_dpbusd_epi32(low.v[m][t], w, broadcast4_512(x));
        high.v[m][t] = _mm512_dpbusd_epi32(high.v[m][t], next, broadcast4_512(x + kBlockInputs));
      }
    }
  }
#pragma GCC unroll 2
  for (int m = 0; m < kRows; ++m)
#pragma GCC unroll 4
    for (int t = 0; t < kTiles; ++t)
      _mm512_storeu_si512(acc + (m * kTiles + t) * kTileOutputs,
                          _mm512_add_epi32(low.v[m][t], _mm512_srai_epi32(high.v[m][t], 4)));
}

// accumulate512 for 1..kRows rows.
template <int kBits, int kRows, int kTiles>
HB_INLINE void accumulate_rows512(int rows, const BlockInput& in, int32_t* acc) {
  with_row_count<kRows>(rows, [&](auto count) { accumulate512<kBits, count.value, kTiles>(in, acc); });
}

template <int kBits>
struct BlockAvx512vnni {
  static constexpr int kMaxRows = 8;
  static constexpr int kMaxTiles = 4;

  static int tiles_at_once(int64_t rows, int64_t tiles_left) {
    if (rows <= 4 && tiles_left >= 4) return 4;
    return tiles_left >= 2 ? 2 : 1;
  }

  static void run(int rows, int tiles, const BlockInput& in, int32_t* acc) {
    if constexpr (kBits == 4)
      if (tiles == 4 && rows <= 2 && in.units * unit_inputs(4) <= kLargestSplitK)
        return with_row_count<2>(rows, [&](auto count) { accumulate_split512<count.value>(in, acc); });
    if (tiles == 4) return accumulate_rows512<kBits, 4, 4>(rows, in, acc);
    if (tiles == 2) return accumulate_rows512<kBits, 8, 2>(rows, in, acc);
    accumulate_rows512<kBits, 8, 1>(rows, in, acc);
  }
};

// See Kernels::spin. Sixteen chains hide the latency; the empty asm keeps each of them.
[[maybe_unused]] int64_t spin_avx512vnni(int64_t rounds) {
  constexpr int kChains = 16;
  __m512i sums[kChains] = {}, a = bytes512(1), b = bytes512(2);
  for (int64_t round = 0; round < rounds; ++round) {
#pragma GCC unroll 16
    for (int i = 0; i < kChains; ++i) {
      sums[i] = _mm512_dpbusd_epi32(sums[i], a, b);
      asm volatile("" : "+v"(sums[i]));
    }
  }
  return rounds * kChains * 64;
}

}  // namespace
}  // namespace halfbyte
