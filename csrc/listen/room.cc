#include "listen/room.h"

#include <algorithm>
#include <cstdint>

namespace halfbyte {
namespace {

constexpr int kMs = 100;
constexpr float kAmplitude = 0.001732051f;  // of uniform noise at -60 dBFS: 0.001 * sqrt(3)
// How much quieter than the loudest band of room digital silence is. White noise of one 16-bit step, the
// loudest that dither leaves, stayed 6.28 below in ten minutes of it; the softest frame of the recordings in
// tests/data is 5.9 below, and speech 4 to 9 above.
constexpr float kQuieter = 6.25f;  // natural logarithm of energy

// Uniform noise by a linear congruential generator (Numerical Recipes), exact on every machine.
std::vector<float> noise(std::size_t num_samples) {
  std::vector<float> samples;
  uint32_t state = 1;
  for (std::size_t i = 0; i < num_samples; ++i) {
    state = 1664525u * state + 1013904223u;
    const auto centred = static_cast<int32_t>(state >> 16) - 32768;
    samples.push_back(kAmplitude * static_cast<float>(centred) / 32768.0f);
  }
  return samples;
}

float loudest(const float* frame, std::size_t num_bins) { return *std::max_element(frame, frame + num_bins); }

}  // namespace

Room::Room(const FbankOptions& options)
    : num_frames_(static_cast<std::size_t>(std::max(1, kMs / options.frame_shift_ms))) {
  Fbank fbank(options);
  const std::size_t width = fbank.num_mel_bins();
  const std::vector<float> enough =
      noise(num_frames_ * fbank.frame_shift_samples() + fbank.frame_length_samples());
  fbank.accept(enough.data(), enough.size());
  frames_.assign(fbank.frames(), fbank.frames() + num_frames_ * width);
  samples_.assign(enough.begin(), enough.begin() + options.sample_rate_hz * kMs / 1000);
  loudest_silence_ = loudest(frames_.data(), frames_.size()) - kQuieter;
}

bool Room::precedes(const Fbank& fbank) const {
  return fbank.num_frames_ready() >= num_frames_ &&
         std::equal(frames_.begin(), frames_.end(), fbank.frames());
}

std::size_t Room::num_silent_frames(const FloatRows& features) const {
  std::size_t t = 0;
  while (t < features.num_rows &&
         loudest(features.data + t * features.num_columns, features.num_columns) <= loudest_silence_)
    ++t;
  return t;
}

}  // namespace halfbyte
