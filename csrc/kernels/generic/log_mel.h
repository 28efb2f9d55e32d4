// Log-mel energies of several frames at once: a lane is a frame, with the operations of one alone.
#pragma once
#include "kernels/generic/lanes.h"
#include "kernels/kernels.h"

namespace halfbyte {
namespace {

// Doubles in a register; a frame each.
constexpr int kFrames = kNativeLanes / 2;
typedef double Frames __attribute__((vector_size(kFrames * 8)));
typedef int64_t FrameBits __attribute__((vector_size(kFrames * 8)));

HB_INLINE Frames frames_of(double value) { return value - Frames{}; }

// specified_log (csrc/specified_math.cc) of normal numbers.
HB_INLINE Frames log_normal(Frames x) {
  const FrameBits bits = (FrameBits)x;
  // The exponent as the low bits of 2^52: exact, and no conversion of 64-bit integers.
  Frames exponent = (Frames)((bits >> 52) | 0x4330000000000000) - (4503599627370496.0 + 1023.0);
  Frames mantissa = (Frames)((bits & 0x000fffffffffffff) | 0x3ff0000000000000);
  const FrameBits is_large = mantissa > 1.4142135623730951;
  mantissa = is_large ? mantissa * 0.5 : mantissa;
  exponent = is_large ? exponent + 1.0 : exponent;
  const Frames f = mantissa - 1.0;
  const Frames s = f / (2.0 + f), square = s * s;
  Frames series = Frames{};
  for (int k = 23; k >= 3; k -= 2) series = (series + 1.0 / k) * square;
  const Frames tail = s * (2.0 * series - f) + exponent * 1.90821492927058770002e-10;
  return exponent * 6.93147180369123816490e-01 + (f + tail);
}

// Samples of kFrames frames, without their mean if so told, pre-emphasised, under the window; zeros up to the
// transform's size.
HB_INLINE void window_frames(const LogMel& mel, const float* const* samples, Frames* frame) {
  Frames sum = Frames{};
  for (int64_t i = 0; i < mel.length; ++i) {
    Frames sample;
    for (int lane = 0; lane < kFrames; ++lane) sample[lane] = samples[lane][i];
    frame[i] = sample * mel.sample_scale;
    sum += frame[i];
  }
  const Frames mean = mel.removes_mean ? sum / static_cast<double>(mel.length) : Frames{};
  for (int64_t i = 0; i < mel.length; ++i) frame[i] -= mean;
  for (int64_t i = mel.length - 1; i > 0; --i) frame[i] -= mel.preemphasis * frame[i - 1];
  frame[0] -= mel.preemphasis * frame[0];
  for (int64_t i = 0; i < mel.length; ++i) frame[i] *= mel.window[i];
  for (int64_t i = mel.length; i < mel.fft_size; ++i) frame[i] = Frames{};
}

// In-place complex transform of fft_size / 2 points, stored as (real, imaginary) pairs.
HB_INLINE void transform_frames(const LogMel& mel, Frames* pairs) {
  const int64_t points = mel.fft_size / 2;
  for (int64_t i = 0; i < points; ++i) {
    const int64_t j = mel.reversed[i];
    if (i >= j) continue;
    const Frames real = pairs[2 * i], imaginary = pairs[2 * i + 1];
    pairs[2 * i] = pairs[2 * j];
    pairs[2 * i + 1] = pairs[2 * j + 1];
    pairs[2 * j] = real;
    pairs[2 * j + 1] = imaginary;
  }
  for (int64_t half = 1; half < points; half *= 2) {
    const int64_t stride = points / half;  // of the table: angle 2 pi k / (2 half)
    for (int64_t start = 0; start < points; start += 2 * half) {
      for (int64_t k = 0; k < half; ++k) {
        Frames* low = pairs + 2 * (start + k);
        Frames* high = low + 2 * half;
        const double c = mel.cosines[k * stride], s = mel.sines[k * stride];
        const Frames real = high[0] * c + high[1] * s, imaginary = high[1] * c - high[0] * s;
        high[0] = low[0] - real;
        high[1] = low[1] - imaginary;
        low[0] += real;
        low[1] += imaginary;
      }
    }
  }
}

// Power of bins 0 .. fft_size / 2 - 1: even samples were the real parts, odd ones the imaginary parts.
HB_INLINE void power_of_frames(const LogMel& mel, const Frames* frame, Frames* power) {
  const int64_t points = mel.fft_size / 2;
  const Frames dc = frame[0] + frame[1];
  power[0] = dc * dc;
  for (int64_t k = 1; k < points; ++k) {
    const Frames* a = frame + 2 * k;
    const Frames* b = frame + 2 * (points - k);
    const Frames even_real = 0.5 * (a[0] + b[0]), even_imaginary = 0.5 * (a[1] - b[1]);
    const Frames odd_real = 0.5 * (a[1] + b[1]), odd_imaginary = 0.5 * (b[0] - a[0]);
    const double c = mel.cosines[k], s = mel.sines[k];
    const Frames real = even_real + (odd_real * c + odd_imaginary * s);
    const Frames imaginary = even_imaginary + (odd_imaginary * c - odd_real * s);
    power[k] = real * real + imaginary * imaginary;
  }
}

void log_mel_f64(const LogMel& mel, const float* samples, int64_t num_frames, double* scratch, float* out) {
  Frames* frame = reinterpret_cast<Frames*>(scratch);
  Frames* power = frame + mel.fft_size;
  for (int64_t t = 0; t < num_frames; t += kFrames) {
    const float* starts[kFrames];  // lanes beyond the last frame repeat it
    for (int lane = 0; lane < kFrames; ++lane)
      starts[lane] = samples + (t + lane < num_frames ? t + lane : num_frames - 1) * mel.shift;
    window_frames(mel, starts, frame);
    transform_frames(mel, frame);
    power_of_frames(mel, frame, power);
    for (int64_t b = 0; b < mel.num_bins; ++b) {
      Frames energy = Frames{};
      const double* weights = mel.weights + mel.filter_starts[b];
      const int64_t num_weights = mel.filter_starts[b + 1] - mel.filter_starts[b];
      for (int64_t i = 0; i < num_weights; ++i) energy += weights[i] * power[mel.first_bins[b] + i];
      const Frames floor = frames_of(mel.energy_floor);
      const Frames logs = log_normal(energy > floor ? energy : floor);
      for (int lane = 0; lane < kFrames && t + lane < num_frames; ++lane)
        out[(t + lane) * mel.num_bins + b] = static_cast<float>(logs[lane]);
    }
  }
}

}  // namespace
}  // namespace halfbyte
