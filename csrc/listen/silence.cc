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

void SilenceMask::accept(const FloatRows& window, int64_t num_steps_before, int64_t num_chunk_steps) {
  if (!covers(num_steps_before)) return;
  const auto num_frames = static_cast<int64_t>(num_silent_frames(window));
  if (num_frames == static_cast<int64_t>(window.num_rows))
    num_silent_steps_ += num_chunk_steps;
  else if (num_frames >= settings_->overlap_frames)
    num_silent_steps_ += (num_frames - settings_->overlap_frames) / settings_->subsampling;
}

void SilenceMask::apply(int64_t num_steps_before, GraphOutputValues* log_probs) const {
  const std::size_t num_tokens = log_probs->size(2);
  const auto num_steps = static_cast<std::size_t>(
      std::clamp<int64_t>(num_silent_steps_ - num_steps_before, 0, log_probs->shape[1]));
  std::fill_n(log_probs->values.begin(), num_steps * num_tokens, kImpossible);
  for (std::size_t step = 0; step < num_steps; ++step)
    log_probs->values[step * num_tokens + static_cast<std::size_t>(blank_id_)] = 0.0f;
}

}  // namespace halfbyte
