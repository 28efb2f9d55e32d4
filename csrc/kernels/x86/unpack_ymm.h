// Packed codes to unsigned bytes in 256-bit registers: half a K block, eight outputs.
#pragma once
#include <immintrin.h>

#include "kernels/generic/linear.h"

namespace halfbyte {
namespace {

HB_INLINE __m256i load32(const void* p) { return _mm256_loadu_si256(static_cast<const __m256i*>(p)); }
HB_INLINE void store32(void* p, __m256i v) { _mm256_storeu_si256(static_cast<__m256i*>(p), v); }

// Four codes of a row, in all lanes.
HB_INLINE __m256i broadcast4(const int8_t* codes) {
  int32_t word;
  std::memcpy(&word, codes, sizeof word);
  return _mm256_set1_epi32(word);
}

HB_INLINE __m256i bytes256(int value) { return _mm256_set1_epi8(static_cast<char>(value)); }

// Bits [kShift, kShift + kWidth) of each byte of a group, at bits [kPlace, ...).
template <int kShift, int kWidth, int kPlace>
HB_INLINE __m256i plane256(__m256i group) {
  if constexpr (kPlace > kShift) group = _mm256_slli_epi16(group, kPlace - kShift);
  if constexpr (kPlace < kShift) group = _mm256_srli_epi16(group, kShift - kPlace);
  return _mm256_and_si256(group, bytes256(((1 << kWidth) - 1) << kPlace));
}

// What block256 adds to a code.
template <int kBits>
constexpr int kZero = kBits == 1 ? 1 : 1 << (kBits - 1);

// K block kBlock of the units from `unit` on, its outputs 8 * kHalf.., unsigned: code + kZero<b>.
template <int kBits, int kBlock, int kHalf>
HB_INLINE __m256i block256(const uint8_t* unit) {
  constexpr int kBlocks = unit_inputs(kBits) / kBlockInputs;
  constexpr int kAt = kBlock % kBlocks;
  const uint8_t* group = unit + kBlock / kBlocks * unit_bytes(kBits) + kHalf * 32;
  if constexpr (kBits == 8) return _mm256_xor_si256(load32(group), bytes256(0x80));
  if constexpr (kBits == 4)  // one flip for both nibbles
    return plane256<kAt * 4, 4, 0>(_mm256_xor_si256(load32(group), bytes256(0x88)));
  if constexpr (kBits == 1) return plane256<kAt, 1, 1>(load32(group));  // 0 or 2
  __m256i codes = _mm256_setzero_si256();
  if constexpr (kBits & 4) {
    codes = plane256<kAt % 2 * 4, 4, 0>(load32(group + kAt / 2 * kGroupBytes));
    group += kBlocks / 2 * kGroupBytes;
  }
  if constexpr (kBits & 2) {
    const __m256i plane = plane256<kAt % 4 * 2, 2, kBits & 4>(load32(group + kAt / 4 * kGroupBytes));
    codes = _mm256_or_si256(codes, plane);
    group += kBlocks / 4 * kGroupBytes;
  }
  if constexpr (kBits & 1) codes = _mm256_or_si256(codes, plane256<kAt, 1, kBits & 6>(load32(group)));
  return _mm256_xor_si256(codes, bytes256(kZero<kBits>));
}

}  // namespace
}  // namespace halfbyte
