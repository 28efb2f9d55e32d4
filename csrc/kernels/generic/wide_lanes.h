// Sixteen products of 32 by 32 bits in 64, and what they are divided by: integer-only models.
//
// A register of products holds half the lanes of the registers that they come from. On x86 the first register
// has the even lanes and the second the odd ones, as VPMULDQ gives them; on Arm the lower half and the upper
// one, as SMULL does. Everything wraps.
#pragma once
#include "kernels/generic/byte_lanes.h"
#if defined(__AVX__)
#include <immintrin.h>
#elif defined(__ARM_NEON)
#include <arm_neon.h>
#endif

namespace halfbyte {
namespace {

typedef int64_t NativeWide __attribute__((vector_size(kNativeLanes * 4)));
typedef uint64_t NativeUnsigned __attribute__((vector_size(kNativeLanes * 4)));

struct Wide {
  NativeWide first, second;
};

HB_INLINE Wide operator+(Wide a, Wide b) { return {a.first + b.first, a.second + b.second}; }
HB_INLINE Wide operator<<(Wide a, int bits) { return {a.first << bits, a.second << bits}; }

#if defined(__AVX512F__)
HB_INLINE Wide products(NativeInt a, NativeInt b) {
  const auto x = (__m512i)a, y = (__m512i)b;
  return {(NativeWide)_mm512_mul_epi32(x, y),
          (NativeWide)_mm512_mul_epi32(_mm512_srli_epi64(x, 32), _mm512_srli_epi64(y, 32))};
}
HB_INLINE Wide load_wide(Tag<Wide>, const int64_t* p) {
  const __m512i lower = _mm512_loadu_si512(p), upper = _mm512_loadu_si512(p + 8);
  const __m512i even = _mm512_set_epi64(14, 12, 10, 8, 6, 4, 2, 0);
  const __m512i odd = _mm512_set_epi64(15, 13, 11, 9, 7, 5, 3, 1);
  return {(NativeWide)_mm512_permutex2var_epi64(lower, even, upper),
          (NativeWide)_mm512_permutex2var_epi64(lower, odd, upper)};
}
#elif defined(__AVX2__)
HB_INLINE Wide products(NativeInt a, NativeInt b) {
  const auto x = (__m256i)a, y = (__m256i)b;
  return {(NativeWide)_mm256_mul_epi32(x, y),
          (NativeWide)_mm256_mul_epi32(_mm256_srli_epi64(x, 32), _mm256_srli_epi64(y, 32))};
}
HB_INLINE Wide load_wide(Tag<Wide>, const int64_t* p) {
  const __m256i lower = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
  const __m256i upper = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p + 4));
  return {(NativeWide)_mm256_permute4x64_epi64(_mm256_unpacklo_epi64(lower, upper), 0xd8),
          (NativeWide)_mm256_permute4x64_epi64(_mm256_unpackhi_epi64(lower, upper), 0xd8)};
}
#elif defined(__ARM_NEON)
HB_INLINE Wide products(NativeInt a, NativeInt b) {
  const auto x = (int32x4_t)a, y = (int32x4_t)b;
  return {(NativeWide)vmull_s32(vget_low_s32(x), vget_low_s32(y)), (NativeWide)vmull_high_s32(x, y)};
}
HB_INLINE Wide load_wide(Tag<Wide>, const int64_t* p) {
  return {(NativeWide)vld1q_s64(p), (NativeWide)vld1q_s64(p + 2)};
}
#else
HB_INLINE Wide products(NativeInt a, NativeInt b) {
  Wide wide;
  for (int i = 0; i < kNativeLanes / 2; ++i) {
    wide.first[i] = static_cast<int64_t>(a[2 * i]) * b[2 * i];
    wide.second[i] = static_cast<int64_t>(a[2 * i + 1]) * b[2 * i + 1];
  }
  return wide;
}
HB_INLINE Wide load_wide(Tag<Wide>, const int64_t* p) {
  Wide wide;
  for (int i = 0; i < kNativeLanes / 2; ++i) wide.first[i] = p[2 * i], wide.second[i] = p[2 * i + 1];
  return wide;
}
#endif

template <class T>
HB_INLINE auto products(Pair<T> a, Pair<T> b) {
  return Pair<decltype(products(a.lo, b.lo))>{products(a.lo, b.lo), products(a.hi, b.hi)};
}
template <class T>
HB_INLINE Pair<T> load_wide(Tag<Pair<T>>, const int64_t* p) {
  return {load_wide(Tag<T>{}, p), load_wide(Tag<T>{}, p + sizeof(T) / sizeof(int64_t))};
}
using WideLanes = decltype(products(IntLanes{}, IntLanes{}));
HB_INLINE WideLanes load_wide(All, const int64_t* p) { return load_wide(Tag<WideLanes>{}, p); }
HB_INLINE WideLanes load_wide(First part, const int64_t* p) {
  int64_t room[kLanes] = {};
  std::memcpy(room, p, part.count * sizeof(int64_t));
  return load_wide(All{}, room);
}

// The upper, or the lower, 32 bits of all products in the order of lanes.
#if defined(__ARM_NEON)
HB_INLINE NativeInt upper_halves(Wide p) {
  return (NativeInt)vuzp2q_s32((int32x4_t)p.first, (int32x4_t)p.second);
}
HB_INLINE NativeInt lower_halves(Wide p) {
  return (NativeInt)vuzp1q_s32((int32x4_t)p.first, (int32x4_t)p.second);
}
#else
constexpr uint64_t kLower = 0xffffffff;
HB_INLINE NativeInt upper_halves(Wide p) {
  return (NativeInt)(((NativeUnsigned)p.first >> 32) | ((NativeUnsigned)p.second & ~kLower));
}
HB_INLINE NativeInt lower_halves(Wide p) {
  return (NativeInt)(((NativeUnsigned)p.first & kLower) | ((NativeUnsigned)p.second << 32));
}
#endif

// Division by 2^shift, shift 1..62, to the nearest integer, ties to even.
struct Rounding {
  int shift;
  int64_t below_half;

  HB_INLINE explicit Rounding(int shift) : shift(shift), below_half((int64_t{1} << (shift - 1)) - 1) {}
};

// p + 2^(shift-1) - 1 + bit `shift` of p: what is left to do is a shift.
#if defined(__AVX512F__)
HB_INLINE NativeWide before_shift(NativeWide p, const Rounding& r) {
  const __mmask8 is_odd = _mm512_test_epi64_mask((__m512i)p, _mm512_set1_epi64(int64_t{1} << r.shift));
  const __m512i up = _mm512_add_epi64((__m512i)p, _mm512_set1_epi64(r.below_half));
  return (NativeWide)_mm512_mask_add_epi64(up, is_odd, up, _mm512_set1_epi64(1));
}
#else
HB_INLINE NativeWide before_shift(NativeWide p, const Rounding& r) {
  const NativeUnsigned is_odd = ((NativeUnsigned)p >> r.shift) & 1;
  return (NativeWide)((NativeUnsigned)p + static_cast<uint64_t>(r.below_half) + is_odd);
}
#endif

HB_INLINE NativeWide clipped_wide(NativeWide v, int64_t limit) {
  const NativeWide high = limit - NativeWide{}, low = -high;
  v = v > high ? high : v;
  return v < low ? low : v;
}

// Quotients in 32 bits. From 2^32 on the upper halves have all that is needed; below that a quotient may be
// wider, and is then clipped to +-2^30.
HB_INLINE NativeInt rounded(Wide p, const Rounding& r) {
  p = {before_shift(p.first, r), before_shift(p.second, r)};
  if (r.shift >= 32) return upper_halves(p) >> (r.shift - 32);
  constexpr int64_t kLimit = int64_t{1} << 30;
  return lower_halves({clipped_wide(p.first >> r.shift, kLimit), clipped_wide(p.second >> r.shift, kLimit)});
}
template <class T>
HB_INLINE auto rounded(Pair<T> p, const Rounding& r) {
  return Pair<decltype(rounded(p.lo, r))>{rounded(p.lo, r), rounded(p.hi, r)};
}

HB_INLINE IntLanes clipped(IntLanes x, int32_t low, int32_t high) {
  const IntLanes least = splat_int(low), largest = splat_int(high);
  x = select(x > largest, largest, x);
  return select(x < least, least, x);
}

}  // namespace
}  // namespace halfbyte
