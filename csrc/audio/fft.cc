#include "audio/fft.h"

#include <utility>

#include "specified_math.h"

namespace halfbyte {

PowerSpectrum::PowerSpectrum(size_t size) : size_(size) {
  size_t points = size / 2;
  reversed_.assign(points, 0);
  for (size_t i = 1; i < points; ++i) {
    reversed_[i] = reversed_[i / 2] / 2 + (i % 2 ? points / 2 : 0);
  }
  for (size_t k = 0; k < points; ++k) {
    cosines_.push_back(cos_of_turn(static_cast<int64_t>(k), static_cast<int64_t>(size)));
    sines_.push_back(sin_of_turn(static_cast<int64_t>(k), static_cast<int64_t>(size)));
  }
}

// In-place complex transform of size_/2 points, stored as (real, imaginary) pairs.
void PowerSpectrum::transform(double* pairs) const {
  size_t points = size_ / 2;
  for (size_t i = 0; i < points; ++i) {
    if (i < reversed_[i]) {
      std::swap(pairs[2 * i], pairs[2 * reversed_[i]]);
      std::swap(pairs[2 * i + 1], pairs[2 * reversed_[i] + 1]);
    }
  }
  for (size_t half = 1; half < points; half *= 2) {
    size_t stride = points / half;  // of the table: angle 2 pi k / (2 half)
    for (size_t start = 0; start < points; start += 2 * half) {
      for (size_t k = 0; k < half; ++k) {
        double* low = pairs + 2 * (start + k);
        double* high = low + 2 * half;
        double c = cosines_[k * stride], s = sines_[k * stride];
        double real = high[0] * c + high[1] * s, imaginary = high[1] * c - high[0] * s;
        high[0] = low[0] - real;
        high[1] = low[1] - imaginary;
        low[0] += real;
        low[1] += imaginary;
      }
    }
  }
}

void PowerSpectrum::compute(double* frame, double* power) const {
  transform(frame);  // even samples are the real parts, odd samples the imaginary parts
  size_t points = size_ / 2;
  double dc = frame[0] + frame[1];
  power[0] = dc * dc;
  for (size_t k = 1; k < points; ++k) {
    const double* a = frame + 2 * k;
    const double* b = frame + 2 * (points - k);
    double even_real = 0.5 * (a[0] + b[0]), even_imaginary = 0.5 * (a[1] - b[1]);
    double odd_real = 0.5 * (a[1] + b[1]), odd_imaginary = 0.5 * (b[0] - a[0]);
    double c = cosines_[k], s = sines_[k];
    double real = even_real + (odd_real * c + odd_imaginary * s);
    double imaginary = even_imaginary + (odd_imaginary * c - odd_real * s);
    power[k] = real * real + imaginary * imaginary;
  }
}

}  // namespace halfbyte
