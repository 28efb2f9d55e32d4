#include "specified_math.h"

#include <cstring>
#include <limits>

namespace halfbyte {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kTwoPi = 6.283185307179586476925;
// ln 2 in two parts; the first has 32 trailing zero bits, so its product with an exponent is exact.
constexpr double kLn2High = 6.93147180369123816490e-01;
constexpr double kLn2Low = 1.90821492927058770002e-10;
constexpr uint64_t kMantissaMask = (uint64_t{1} << 52) - 1;
constexpr uint64_t kExponentOfOne = uint64_t{1023} << 52;

uint64_t bits_of(double x) {
  uint64_t bits;
  std::memcpy(&bits, &x, sizeof bits);
  return bits;
}

double double_of(uint64_t bits) {
  double x;
  std::memcpy(&x, &bits, sizeof x);
  return x;
}

// Taylor series of sine and cosine; 0 <= x <= pi/4 leaves an error below 1e-17.
double sin_series(double x) {
  double square = x * x, term = x, sum = 0.0;
  double terms[9];
  for (int i = 0; i < 9; ++i) {
    terms[i] = term;
    term = -term * square / ((2 * i + 2) * (2 * i + 3));
  }
  for (int i = 8; i >= 0; --i) sum += terms[i];
  return sum;
}

double cos_series(double x) {
  double square = x * x, term = 1.0, sum = 0.0;
  double terms[10];
  for (int i = 0; i < 10; ++i) {
    terms[i] = term;
    term = -term * square / ((2 * i + 1) * (2 * i + 2));
  }
  for (int i = 9; i >= 0; --i) sum += terms[i];
  return sum;
}

}  // namespace

double specified_log(double x) {
  if (!(x >= 0)) return kNaN;
  if (x == 0) return -kInfinity;
  if (x == kInfinity) return x;
  int exponent = 0;
  if (x < std::numeric_limits<double>::min()) {
    x *= 18014398509481984.0;  // 2^54 makes a subnormal normal
    exponent = -54;
  }
  uint64_t bits = bits_of(x);
  exponent += static_cast<int>(bits >> 52) - 1023;
  double mantissa = double_of((bits & kMantissaMask) | kExponentOfOne);
  if (mantissa > 1.4142135623730951) {
    mantissa *= 0.5;
    ++exponent;
  }
  // log m = 2 atanh(s) with s = (m - 1) / (m + 1), |s| <= 0.1716: 10 odd terms reach 1e-17.
  double f = mantissa - 1.0;
  double s = f / (2.0 + f), square = s * s, series = 0.0;
  for (int k = 23; k >= 3; k -= 2) series = (series + 1.0 / k) * square;
  // 2s = f - s f, so the leading term f stays exact.
  double tail = s * (2.0 * series - f) + exponent * kLn2Low;
  return exponent * kLn2High + (f + tail);
}

double specified_exp(double x) {
  if (x != x) return x;
  if (x > 709.782712893384) return kInfinity;
  if (x < -708.3964185322641) return 0.0;
  double scaled = x * 1.4426950408889634;  // 1 / ln 2
  int64_t power = static_cast<int64_t>(scaled + (scaled < 0 ? -0.5 : 0.5));
  double rest = (x - power * kLn2High) - power * kLn2Low;  // |rest| <= 0.35
  double series = 0.0;
  for (int k = 14; k >= 2; --k) series = (series + 1.0) * rest / k;
  double result = 1.0 + (rest + rest * series);
  if (power == 1024) return result * 2.0 * double_of(uint64_t{1023 + 1023} << 52);
  return result * double_of(static_cast<uint64_t>(power + 1023) << 52);
}

double cos_of_turn(int64_t numerator, int64_t denominator) {
  int64_t eighths = 8 * (numerator % denominator);  // of a turn, times denominator
  if (eighths < 0) eighths = -eighths;              // cosine is even
  if (eighths > 4 * denominator) eighths = 8 * denominator - eighths;
  bool is_negative = eighths > 2 * denominator;  // beyond a quarter turn
  if (is_negative) eighths = 4 * denominator - eighths;
  double value;
  if (eighths <= denominator) {
    value = cos_series(kTwoPi * (static_cast<double>(eighths) / (8.0 * denominator)));
  } else {
    double rest = static_cast<double>(2 * denominator - eighths) / (8.0 * denominator);
    value = sin_series(kTwoPi * rest);
  }
  return is_negative ? -value : value;
}

double sin_of_turn(int64_t numerator, int64_t denominator) {
  // sin(x) = cos(x - a quarter turn)
  return cos_of_turn(4 * (numerator % denominator) - denominator, 4 * denominator);
}

double log_add(double a, double b) {
  double high = a > b ? a : b, low = a > b ? b : a;
  if (low == -kInfinity) return high;
  return high + specified_log(1.0 + specified_exp(low - high));
}

}  // namespace halfbyte
