#include "listen/silence.h"

#include <algorithm>

namespace halfbyte {
namespace {

// Largest log-mel energy of a frame of digital silence. White noise of one 16-bit step, the loudest
// that dither leaves, reached 10.0 in ten minutes of it; the softest frame of the recordings in
// tests/data has 10.4, and speech 20 to 25.
constexpr float kLoudestSilence = 10.0f;
constexpr float kImpossible = -1e4f;  // log-probability; finite, so that sums of it stay numbers

std::size_t num_silent_frames(const FloatRows& features) {
  for (std::size_t t = 0; t < features.num_rows; ++t) {
    const float* frame = features.data + t * features.num_columns;
    if (*std::max_element(frame, frame + features.num_columns) > kLoudestSilence) return t;
  }
  return features.num_rows;
}

}  // namespace

bool is_silence(const FloatRows& features) { return num_silent_frames(features) == features.num_rows; }

std::size_t num_silent_steps(const FloatRows& features, const ModelSettings& settings,
                             std::size_t num_steps) {
  const std::size_t num_frames = num_silent_frames(features);
  if (num_frames == features.num_rows) return num_steps;
  const auto overlap_frames = static_cast<std::size_t>(settings.overlap_frames);
  if (num_frames < overlap_frames) return 0;
  return (num_frames - overlap_frames) / static_cast<std::size_t>(settings.subsampling);
}

void make_blank(std::size_t num_steps, const ModelSettings& settings, std::vector<float>* log_probs) {
  const std::size_t num_tokens = settings.tokens.size();
  std::fill_n(log_probs->begin(), num_steps * num_tokens, kImpossible);
  for (std::size_t step = 0; step < num_steps; ++step)
    (*log_probs)[step * num_tokens + static_cast<std::size_t>(settings.blank_id)] = 0.0f;
}

}  // namespace halfbyte
