// Sixteen codes of 8 or 16 bits as lanes of 32, and tables of 256 bytes: integer-only models.
#pragma once
#include "kernels/generic/lanes.h"
#if defined(__AVX__)
#include <immintrin.h>
#elif defined(__ARM_NEON)
#include <arm_neon.h>
#endif

namespace halfbyte {
namespace {

// Conversions of one register; lanes that are stored are within the range of what they become. (Compilers
// take
// __builtin_convertvector apart here.)
#if defined(__AVX512F__)
HB_INLINE NativeInt load_codes(Tag<NativeInt>, const int8_t* p) {
  return (NativeInt)_mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
}
HB_INLINE NativeInt load_codes(Tag<NativeInt>, const int16_t* p) {
  return (NativeInt)_mm512_cvtepi16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
}
HB_INLINE void store_narrow(int8_t* p, NativeInt v) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm512_cvtepi32_epi8((__m512i)v));
}
HB_INLINE void store_narrow(int16_t* p, NativeInt v) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm512_cvtepi32_epi16((__m512i)v));
}
#elif defined(__AVX2__)
HB_INLINE NativeInt load_codes(Tag<NativeInt>, const int8_t* p) {
  return (NativeInt)_mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)));
}
HB_INLINE NativeInt load_codes(Tag<NativeInt>, const int16_t* p) {
  return (NativeInt)_mm256_cvtepi16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
}
HB_INLINE __m128i packed_words(NativeInt v) {
  const auto lower = (__m256i)v;
  return _mm_packs_epi32(_mm256_castsi256_si128(lower), _mm256_extracti128_si256(lower, 1));
}
HB_INLINE void store_narrow(int8_t* p, NativeInt v) {
  const __m128i words = packed_words(v);
  _mm_storel_epi64(reinterpret_cast<__m128i*>(p), _mm_packs_epi16(words, words));
}
HB_INLINE void store_narrow(int16_t* p, NativeInt v) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), packed_words(v));
}
#elif defined(__ARM_NEON)
HB_INLINE NativeInt load_codes(Tag<NativeInt>, const int8_t* p) {
  int32_t four;
  std::memcpy(&four, p, sizeof four);
  const int8x8_t bytes = vreinterpret_s8_s32(vdup_n_s32(four));
  return (NativeInt)vmovl_s16(vget_low_s16(vmovl_s8(bytes)));
}
HB_INLINE NativeInt load_codes(Tag<NativeInt>, const int16_t* p) { return (NativeInt)vmovl_s16(vld1_s16(p)); }
HB_INLINE void store_narrow(int8_t* p, NativeInt v) {
  const int16x4_t words = vmovn_s32((int32x4_t)v);
  const int32_t four = vget_lane_s32(vreinterpret_s32_s8(vmovn_s16(vcombine_s16(words, words))), 0);
  std::memcpy(p, &four, sizeof four);
}
HB_INLINE void store_narrow(int16_t* p, NativeInt v) { vst1_s16(p, vmovn_s32((int32x4_t)v)); }
#else
template <class T>
HB_INLINE NativeInt load_codes(Tag<NativeInt>, const T* p) {
  NativeInt v;
  for (int lane = 0; lane < kNativeLanes; ++lane) v[lane] = p[lane];
  return v;
}
template <class T>
HB_INLINE void store_narrow(T* p, NativeInt v) {
  for (int lane = 0; lane < kNativeLanes; ++lane) p[lane] = static_cast<T>(v[lane]);
}
#endif

template <class P, class T>
HB_INLINE Pair<P> load_codes(Tag<Pair<P>>, const T* p) {
  return {load_codes(Tag<P>{}, p), load_codes(Tag<P>{}, p + sizeof(P) / sizeof(int32_t))};
}
template <class T>
HB_INLINE IntLanes load_codes(const T* p) {
  return load_codes(Tag<IntLanes>{}, p);
}

template <class T, class P>
HB_INLINE void store_narrow(T* p, Pair<P> v) {
  store_narrow(p, v.lo);
  store_narrow(p + sizeof(P) / sizeof(int32_t), v.hi);
}
// Which of 16 elements exist: all, or the first `count`. Loads of the latter have zeros behind them.
struct All {};
struct First {
  int64_t count;
};

// Calls body(at, All or First) for 16 elements of n after another.
template <class Body>
HB_INLINE void for_lanes(int64_t n, Body body) {
  int64_t at = 0;
  for (; at + kLanes <= n; at += kLanes) body(at, All{});
  if (at < n) body(at, First{n - at});
}

template <class T>
HB_INLINE auto load(All, const T* p) {
  return load(p);
}
template <class T>
HB_INLINE auto load(First part, const T* p) {
  T room[kLanes] = {};
  std::memcpy(room, p, part.count * sizeof(T));
  return load(room);
}
template <class T>
HB_INLINE IntLanes load_codes(All, const T* p) {
  return load_codes(p);
}
template <class T>
HB_INLINE IntLanes load_codes(First part, const T* p) {
  T room[kLanes] = {};
  std::memcpy(room, p, part.count * sizeof(T));
  return load_codes(room);
}
template <class T, class V>
HB_INLINE void store(All, T* p, V v) {
  store(p, v);
}
template <class T, class V>
HB_INLINE void store(First part, T* p, V v) {
  T room[kLanes];
  store(room, v);
  std::memcpy(p, room, part.count * sizeof(T));
}
template <class T>
HB_INLINE void store_codes(All, T* p, IntLanes v) {
  store_narrow(p, v);
}
template <class T>
HB_INLINE void store_codes(First part, T* p, IntLanes v) {
  T room[kLanes];
  store_narrow(room, v);
  std::memcpy(p, room, part.count * sizeof(T));
}

// out[i] = table[x[i] + 128]; in place.
#if defined(__AVX512BW__) && defined(__AVX512VL__)
struct Table {
  __m512i quarters[4];  // of 32 pairs of entries

  HB_INLINE explicit Table(const int8_t* table) {
    for (int i = 0; i < 4; ++i) quarters[i] = _mm512_loadu_si512(table + 64 * i);
  }

  // Pairs are looked up by the upper seven bits of x + 128; its last bit says which of the two.
  HB_INLINE __m256i of(__m256i x) const {
    const __m512i index = _mm512_cvtepu8_epi16(_mm256_xor_si256(x, _mm256_set1_epi8(-128)));
    const __m512i pair = _mm512_srli_epi16(index, 1);
    const __m512i low = _mm512_permutex2var_epi16(quarters[0], pair, quarters[1]);
    const __m512i high = _mm512_permutex2var_epi16(quarters[2], pair, quarters[3]);
    const __mmask32 is_high = _mm512_test_epi16_mask(index, _mm512_set1_epi16(0x80));
    const __m512i found = _mm512_mask_blend_epi16(is_high, low, high);
    const __m512i place = _mm512_and_si512(_mm512_slli_epi16(index, 3), _mm512_set1_epi16(8));
    return _mm512_cvtepi16_epi8(_mm512_srlv_epi16(found, place));
  }
};

HB_INLINE void apply_table(const int8_t* x, int64_t count, const int8_t* entries, int8_t* out) {
  const Table table(entries);
  int64_t i = 0;
  for (; i + 32 <= count; i += 32)
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + i),
                        table.of(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(x + i))));
  if (i == count) return;
  const __mmask32 rest = (__mmask32{1} << (count - i)) - 1;
  _mm256_mask_storeu_epi8(out + i, rest, table.of(_mm256_maskz_loadu_epi8(rest, x + i)));
}
#elif defined(__ARM_NEON)
HB_INLINE void apply_table(const int8_t* x, int64_t count, const int8_t* entries, int8_t* out) {
  int8x16x4_t quarters[4];
  for (int i = 0; i < 4; ++i) quarters[i] = vld1q_s8_x4(entries + 64 * i);
  int64_t i = 0;
  for (; i + 16 <= count; i += 16) {
    const uint8x16_t index = veorq_u8(vreinterpretq_u8_s8(vld1q_s8(x + i)), vdupq_n_u8(0x80));
    int8x16_t found = vqtbl4q_s8(quarters[0], index);  // an index beyond 63 finds 0, or leaves what was there
    for (int quarter = 1; quarter < 4; ++quarter)
      found = vqtbx4q_s8(found, quarters[quarter],
                         vsubq_u8(index, vdupq_n_u8(static_cast<uint8_t>(64 * quarter))));
    vst1q_s8(out + i, found);
  }
  for (; i < count; ++i) out[i] = entries[x[i] + 128];
}
#else
HB_INLINE void apply_table(const int8_t* x, int64_t count, const int8_t* entries, int8_t* out) {
  for (int64_t i = 0; i < count; ++i) out[i] = entries[x[i] + 128];
}
#endif

}  // namespace
}  // namespace halfbyte
