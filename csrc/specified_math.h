// exp, log, sine and cosine made of IEEE additions, products and quotients only.
//
// Every C library rounds these functions its own way, so the same audio would give other features
// and other search scores on another machine. These give one answer everywhere: exp and log within 2
// units in the last place of double, sine and cosine within 1e-15 (tests/audio/test_specified_math.py).
#pragma once
#include <cstdint>

namespace halfbyte {

// Natural logarithm. x > 0 gives log(x) (subnormals included); 0 gives -inf; +inf gives +inf;
// x < 0 or NaN gives NaN.
double specified_log(double x);

// e to the x. Results below the smallest normal double are 0, above the largest are +inf.
double specified_exp(double x);

// cos(2 pi numerator / denominator) and its sine; denominator > 0, |numerator| < 2^60.
// The angle is reduced in integers, so quarter turns are exact.
double cos_of_turn(int64_t numerator, int64_t denominator);
double sin_of_turn(int64_t numerator, int64_t denominator);

// log(exp(a) + exp(b)) without overflow; -inf stands for probability zero.
double log_add(double a, double b);

}  // namespace halfbyte
