// Sixteen float32 lanes, in as many registers as this instruction set needs.
//
// Included by one source file per instruction set, each with its own flags. Everything lives in an
// anonymous namespace and nothing here comes from the standard library, so that the linker can never
// hand code made for one instruction set to another.
#pragma once
#include <cstdint>
#include <cstring>
#if defined(__AVX512F__)
#include <immintrin.h>
#endif

#define HB_INLINE inline __attribute__((always_inline))

namespace halfbyte {
namespace {

#if defined(__AVX512F__)
constexpr int kNativeLanes = 16;
#elif defined(__AVX__)
constexpr int kNativeLanes = 8;
#else
constexpr int kNativeLanes = 4;
#endif
constexpr int kLanes = 16;

typedef float Native __attribute__((vector_size(kNativeLanes * 4)));
typedef int32_t NativeInt __attribute__((vector_size(kNativeLanes * 4)));
typedef float NativeUnaligned __attribute__((vector_size(kNativeLanes * 4), aligned(4), may_alias));
typedef int32_t NativeIntUnaligned __attribute__((vector_size(kNativeLanes * 4), aligned(4), may_alias));

// Two halves side by side: lanes 0.. in lo, the upper half in hi.
template <class T>
struct Pair {
  T lo, hi;
};

template <int kCount, class T>
struct Widen {
  using Type = Pair<typename Widen<kCount / 2, T>::Type>;
};
template <class T>
struct Widen<kNativeLanes, T> {
  using Type = T;
};
using Lanes = Widen<kLanes, Native>::Type;
using IntLanes = Widen<kLanes, NativeInt>::Type;

#define HB_PAIR_OPERATOR(op)                                         \
  template <class T>                                                 \
  HB_INLINE auto operator op(Pair<T> a, Pair<T> b) {                 \
    return Pair<decltype(a.lo op b.lo)>{a.lo op b.lo, a.hi op b.hi}; \
  }
HB_PAIR_OPERATOR(+)
HB_PAIR_OPERATOR(-)
HB_PAIR_OPERATOR(*)
HB_PAIR_OPERATOR(/)
HB_PAIR_OPERATOR(&)
HB_PAIR_OPERATOR(^)
HB_PAIR_OPERATOR(<)
HB_PAIR_OPERATOR(>)
HB_PAIR_OPERATOR(==)
#undef HB_PAIR_OPERATOR

template <class T>
HB_INLINE Pair<T> operator<<(Pair<T> a, int bits) {
  return {a.lo << bits, a.hi << bits};
}
template <class T>
HB_INLINE Pair<T> operator>>(Pair<T> a, int bits) {
  return {a.lo >> bits, a.hi >> bits};
}

HB_INLINE Native select(NativeInt mask, Native yes, Native no) { return mask ? yes : no; }
HB_INLINE NativeInt select(NativeInt mask, NativeInt yes, NativeInt no) { return mask ? yes : no; }
template <class M, class T>
HB_INLINE Pair<T> select(Pair<M> mask, Pair<T> yes, Pair<T> no) {
  return {select(mask.lo, yes.lo, no.lo), select(mask.hi, yes.hi, no.hi)};
}

// The larger of two integers in each lane.
HB_INLINE NativeInt larger(NativeInt a, NativeInt b) {
#if defined(__AVX512F__)
  return (NativeInt)_mm512_max_epi32((__m512i)a, (__m512i)b);
#else
  return select(b > a, b, a);
#endif
}
template <class T>
HB_INLINE Pair<T> larger(Pair<T> a, Pair<T> b) {
  return {larger(a.lo, b.lo), larger(a.hi, b.hi)};
}

// Whether a comparison holds in some lane.
HB_INLINE bool any(NativeInt mask) {
#if defined(__AVX512F__)
  return _mm512_test_epi32_mask((__m512i)mask, (__m512i)mask) != 0;
#else
  typedef int64_t Wide __attribute__((vector_size(kNativeLanes * 4)));
  const Wide pairs = (Wide)mask;
  int64_t bits = 0;
  for (int i = 0; i < kNativeLanes / 2; ++i) bits |= pairs[i];
  return bits != 0;
#endif
}
template <class T>
HB_INLINE bool any(Pair<T> mask) {
  return any(mask.lo) || any(mask.hi);
}

// The bits of a float as an integer, and back.
HB_INLINE NativeInt as_int(Native v) { return (NativeInt)v; }
HB_INLINE Native as_float(NativeInt v) { return (Native)v; }
template <class T>
HB_INLINE auto as_int(Pair<T> v) {
  return Pair<decltype(as_int(v.lo))>{as_int(v.lo), as_int(v.hi)};
}
template <class T>
HB_INLINE auto as_float(Pair<T> v) {
  return Pair<decltype(as_float(v.lo))>{as_float(v.lo), as_float(v.hi)};
}

// The nearest float to an integer.
HB_INLINE Native to_float(NativeInt v) { return __builtin_convertvector(v, Native); }
template <class T>
HB_INLINE auto to_float(Pair<T> v) {
  return Pair<decltype(to_float(v.lo))>{to_float(v.lo), to_float(v.hi)};
}

// A tag says which type to build: there is no argument to deduce it from.
template <class T>
struct Tag {};

HB_INLINE Native fill(Tag<Native>, float value) { return value - Native{}; }  // keeps -0.0f
HB_INLINE NativeInt fill(Tag<NativeInt>, int32_t value) { return value + NativeInt{}; }
template <class T, class V>
HB_INLINE Pair<T> fill(Tag<Pair<T>>, V value) {
  const T half = fill(Tag<T>{}, value);
  return {half, half};
}
HB_INLINE Lanes splat(float value) { return fill(Tag<Lanes>{}, value); }
HB_INLINE IntLanes splat_int(int32_t value) { return fill(Tag<IntLanes>{}, value); }

HB_INLINE Native load(Tag<Native>, const float* p) { return *reinterpret_cast<const NativeUnaligned*>(p); }
HB_INLINE NativeInt load(Tag<NativeInt>, const int32_t* p) {
  return *reinterpret_cast<const NativeIntUnaligned*>(p);
}
template <class T, class V>
HB_INLINE Pair<T> load(Tag<Pair<T>>, const V* p) {
  return {load(Tag<T>{}, p), load(Tag<T>{}, p + sizeof(T) / sizeof(V))};
}
HB_INLINE void store(float* p, Native v) { *reinterpret_cast<NativeUnaligned*>(p) = v; }
HB_INLINE void store(int32_t* p, NativeInt v) { *reinterpret_cast<NativeIntUnaligned*>(p) = v; }
template <class T, class V>
HB_INLINE void store(V* p, Pair<T> v) {
  store(p, v.lo);
  store(p + sizeof(T) / sizeof(V), v.hi);
}

HB_INLINE Lanes load(const float* p) { return load(Tag<Lanes>{}, p); }
HB_INLINE IntLanes load(const int32_t* p) { return load(Tag<IntLanes>{}, p); }

// The first `count` lanes from memory, the others `rest`; and the first `count` lanes to memory. Nothing
// beyond them is touched.
#if defined(__AVX512F__)
HB_INLINE __mmask16 first_lanes(int64_t count) { return static_cast<__mmask16>((1u << count) - 1); }
HB_INLINE Lanes load_part(const float* p, int64_t count, float rest) {
  return (Native)_mm512_mask_loadu_ps((__m512)splat(rest), first_lanes(count), p);
}
HB_INLINE void store_part(float* p, Lanes v, int64_t count) {
  _mm512_mask_storeu_ps(p, first_lanes(count), (__m512)v);
}
#else
HB_INLINE Lanes load_part(const float* p, int64_t count, float rest) {
  float lanes[kLanes];
  store(lanes, splat(rest));
  std::memcpy(lanes, p, count * sizeof(float));
  return load(lanes);
}
HB_INLINE void store_part(float* p, Lanes v, int64_t count) {
  float lanes[kLanes];
  store(lanes, v);
  std::memcpy(p, lanes, count * sizeof(float));
}
#endif

// Lane l takes lane l + kBy, for the lower lanes; what the upper ones take does not matter.
template <int kBy>
HB_INLINE Native lowered(Native v) {
#ifdef __clang__  // has no shuffle by a vector
  Native lowered = v;
  for (int lane = 0; lane + kBy < kNativeLanes; ++lane) lowered[lane] = v[lane + kBy];
  return lowered;
#else
  NativeInt from;
  for (int lane = 0; lane < kNativeLanes; ++lane) from[lane] = (lane + kBy) % kNativeLanes;
  return __builtin_shuffle(v, from);
#endif
}

// Folds 16 lanes into one: lane l with l + 8, then l + 4, l + 2, l + 1. `fold` takes whole registers.
template <class Fold, int kHalf = kNativeLanes / 2>
HB_INLINE float halving(Native v, Fold fold) {
  v = fold(v, lowered<kHalf>(v));
  if constexpr (kHalf > 1) return halving<Fold, kHalf / 2>(v, fold);
  return v[0];
}
template <class T, class Fold>
HB_INLINE float halving(Pair<T> v, Fold fold) {
  return halving(fold(v.lo, v.hi), fold);
}

HB_INLINE float halving_sum(Lanes v) {
  return halving(v, [](auto a, auto b) { return a + b; });
}
HB_INLINE float halving_max(Lanes v) {
  return halving(v, [](auto a, auto b) { return select(b > a, b, a); });
}

}  // namespace
}  // namespace halfbyte
