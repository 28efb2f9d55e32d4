// Log probabilities of tokens, as the CTC head gives them.
#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

namespace halfbyte {

// A view: (num_frames, num_tokens) float32, row-major; natural logarithms, -inf for zero.
struct LogProbs {
  const float* data;
  size_t num_frames;
  size_t num_tokens;

  const float* frame(size_t t) const { return data + t * num_tokens; }
};

// Throws Error(kInput) unless there are at least two tokens, `blank_id` is one of them, nothing is
// NaN or +inf, and every frame has a token above -inf.
void check_log_probs(const LogProbs& log_probs, int blank_id);

// The `count` most likely tokens of a frame, likeliest first; of equals, the lower id first.
void top_tokens(const float* frame, size_t num_tokens, size_t count, std::vector<int>* tokens);

}  // namespace halfbyte
