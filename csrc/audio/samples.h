// Samples: mono, float32, full scale at 1.
#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

namespace halfbyte {

// Throws Error(kAudio) naming the first sample that is NaN or infinite; the first of `samples` has
// the number `first_index` in its stream.
void check_finite(const float* samples, size_t num_samples, int64_t first_index);

// Whether none of them is NaN or infinite.
bool are_finite(const std::vector<float>& values);

// Throws Error(kAudio) where a sample is so large that samples of int16 size must have been given as floats.
// NaN and infinity pass.
void check_full_scale(const float* samples, size_t num_samples);

// code / 32768 of each 16-bit little-endian code. Throws Error(kAudio) for half a code.
std::vector<float> samples_of_s16(const uint8_t* bytes, size_t num_bytes);

}  // namespace halfbyte
