#include "audio/samples.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>

#include "error.h"

namespace halfbyte {
namespace {

constexpr uint32_t kExponent = 0x7f800000;  // all ones: infinity or NaN
// 18 dB above full scale, which no recording reaches; of samples of int16 size, no speech stays below it.
constexpr float kLargest = 8.0f;

bool are_finite(const float* values, size_t count) {
  uint32_t is_bad = 0;  // without branches
  for (size_t i = 0; i < count; ++i) {
    uint32_t bits;
    std::memcpy(&bits, values + i, sizeof bits);
    is_bad |= (bits & kExponent) == kExponent;
  }
  return !is_bad;
}

}  // namespace

bool are_finite(const std::vector<float>& values) { return are_finite(values.data(), values.size()); }

void check_finite(const float* samples, size_t num_samples, int64_t first_index) {
  if (are_finite(samples, num_samples)) return;
  for (size_t i = 0; i < num_samples; ++i) {
    if (std::isfinite(samples[i])) continue;
    throw Error(ErrorKind::kAudio, "sample " + std::to_string(first_index + static_cast<int64_t>(i)) +
                                       " is NaN or infinite; expected finite samples in [-1, 1)");
  }
}

void check_full_scale(const float* samples, size_t num_samples) {
  float largest = 0.0f;
  for (size_t i = 0; i < num_samples; ++i) largest = std::max(largest, std::fabs(samples[i]));
  if (largest > kLargest && std::isfinite(largest))
    throw Error(ErrorKind::kAudio, "a sample is as large as " + std::to_string(largest) +
                                       "; expected [-1, 1): divide samples of int16 size by 32768");
}

std::vector<float> samples_of_s16(const uint8_t* bytes, size_t num_bytes) {
  if (num_bytes % 2 != 0) {
    throw Error(ErrorKind::kAudio,
                std::to_string(num_bytes) + " bytes of 16-bit samples; expected an even number");
  }
  std::vector<float> samples(num_bytes / 2);
  for (size_t i = 0; i < samples.size(); ++i) {
    samples[i] = static_cast<int16_t>(bytes[2 * i] | bytes[2 * i + 1] << 8) / 32768.0f;
  }
  return samples;
}

}  // namespace halfbyte
