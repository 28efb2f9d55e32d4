#include "decode/log_probs.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <string>

#include "error.h"

namespace halfbyte {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

void check_frame(const LogProbs& log_probs, size_t t) {
  float most = -kInfinity;
  for (size_t v = 0; v < log_probs.num_tokens; ++v) {
    float p = log_probs.frame(t)[v];
    if (!(p < kInfinity)) {
      throw Error(ErrorKind::kInput, "log_probs[" + std::to_string(t) + ", " + std::to_string(v) +
                                         "] is NaN or +inf; expected logarithms of probabilities");
    }
    most = std::max(most, p);
  }
  if (most == -kInfinity) {
    throw Error(ErrorKind::kInput,
                "log_probs[" + std::to_string(t) + "] is -inf everywhere; expected a distribution");
  }
}

}  // namespace

void check_log_probs(const LogProbs& log_probs, int blank_id) {
  if (log_probs.num_tokens < 2 || blank_id < 0 || static_cast<size_t>(blank_id) >= log_probs.num_tokens) {
    throw Error(ErrorKind::kInput, "log_probs has " + std::to_string(log_probs.num_tokens) +
                                       " tokens; expected at least 2, among them blank_id " +
                                       std::to_string(blank_id));
  }
  for (size_t t = 0; t < log_probs.num_frames; ++t) check_frame(log_probs, t);
}

void top_tokens(const float* frame, size_t num_tokens, size_t count, std::vector<int>* tokens) {
  tokens->resize(num_tokens);
  std::iota(tokens->begin(), tokens->end(), 0);
  count = std::min(count, num_tokens);
  auto is_likelier = [frame](int a, int b) { return frame[a] != frame[b] ? frame[a] > frame[b] : a < b; };
  std::partial_sort(tokens->begin(), tokens->begin() + static_cast<ptrdiff_t>(count), tokens->end(),
                    is_likelier);
  tokens->resize(count);
}

}  // namespace halfbyte
