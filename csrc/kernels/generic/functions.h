// exp, log and what is made of them, 16 lanes at a time. docs/integer-spec.md, "Functions", gives every
// constant and the order of operations; here no operation may be added, dropped or moved.
#pragma once
#include "kernels/generic/lanes.h"

namespace halfbyte {
namespace {

constexpr float kInfinity = __builtin_inff();
constexpr float kNan = __builtin_nanf("");
constexpr float kLog2E = 0x1.715476p+0f;
constexpr float kLn2High = 0x1.63p-1f;  // 9 significant bits: a product with n is exact
constexpr float kLn2Low = -0x1.bd0106p-13f;
constexpr float kRound = 0x1.8p+23f;  // adding it rounds to an integer, kept in the low bits
constexpr float kExpLow = -87.0f;     // below: +0, so that no result is denormal
constexpr float kExpHigh = 88.0f;     // above: infinity
// exp(r) = 1 + r + r^2 q(r), minimax over |r| <= ln2 / 2.
constexpr float kExp[] = {0x1.fffffcp-2f, 0x1.555490p-3f, 0x1.5558f4p-5f, 0x1.123a6cp-7f, 0x1.6a2352p-10f};
constexpr int32_t kSqrtHalfBits = 0x3f3504f3;
// log(m) = 2 s + s z q(z), s = f / (2 + f), z = s^2, minimax over m in [sqrt(1/2), sqrt(2)).
constexpr float kLog[] = {0.66666776f, 0.39977527f, 0.2987228f};

HB_INLINE Lanes exp_lanes(Lanes x) {
  const Lanes shifted = x * splat(kLog2E) + splat(kRound);
  const Lanes n = shifted - splat(kRound);
  const Lanes r = (x - n * splat(kLn2High)) - n * splat(kLn2Low);
  Lanes q = splat(kExp[4]);
  q = q * r + splat(kExp[3]);
  q = q * r + splat(kExp[2]);
  q = q * r + splat(kExp[1]);
  q = q * r + splat(kExp[0]);
  const Lanes y = ((r * r) * q + r) + splat(1.0f);
  const Lanes power = as_float((as_int(shifted) << 23) + splat_int(0x3f800000));  // 2^n
  const Lanes finite = select(x < splat(kExpLow), splat(0.0f), y * power);
  return select(x > splat(kExpHigh), splat(kInfinity), finite);
}

HB_INLINE Lanes log_lanes(Lanes x) {
  const IntLanes is_denormal = x < splat(0x1p-126f);
  const IntLanes bits = as_int(select(is_denormal, x * splat(0x1p+24f), x));
  const IntLanes exponent = (bits - splat_int(kSqrtHalfBits)) >> 23;
  const Lanes f = as_float(bits - (exponent << 23)) - splat(1.0f);
  const IntLanes true_exponent = exponent - (is_denormal & splat_int(24));
  const Lanes e = as_float(as_int(splat(kRound)) + true_exponent) - splat(kRound);
  const Lanes s = f / (splat(2.0f) + f);
  const Lanes z = s * s;
  const Lanes q = (splat(kLog[2]) * z + splat(kLog[1])) * z + splat(kLog[0]);
  const Lanes y = (((s * z) * q + e * splat(kLn2Low)) + (s + s)) + e * splat(kLn2High);
  const Lanes positive = select(x < splat(kInfinity), y, x);
  const Lanes not_zero = select(x < splat(0.0f), splat(kNan), positive);
  return select(x == splat(0.0f), splat(-kInfinity), not_zero);
}

HB_INLINE Lanes negated(Lanes x) { return as_float(as_int(x) ^ splat_int(INT32_MIN)); }

HB_INLINE Lanes sigmoid_lanes(Lanes x) { return splat(1.0f) / (splat(1.0f) + exp_lanes(negated(x))); }

HB_INLINE Lanes silu_lanes(Lanes x) { return x * sigmoid_lanes(x); }

HB_INLINE Lanes tanh_lanes(Lanes x) { return splat(1.0f) - splat(2.0f) / (exp_lanes(x + x) + splat(1.0f)); }

HB_INLINE Lanes relu_lanes(Lanes x) { return select(x > splat(0.0f), x, splat(0.0f)); }

}  // namespace
}  // namespace halfbyte
