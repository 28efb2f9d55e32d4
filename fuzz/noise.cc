#include "noise.h"

#include <cstdint>

std::vector<float> noise(std::size_t num_samples) {
  std::vector<float> samples(num_samples);
  std::uint32_t state = 1;
  for (float& sample : samples) {
    state = state * 1664525 + 1013904223;
    sample = static_cast<float>(static_cast<std::int32_t>(state)) / 4294967296.0f;
  }
  return samples;
}
