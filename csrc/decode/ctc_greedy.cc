#include "decode/ctc_greedy.h"

#include <algorithm>

#include "kernels/float_environment.h"

namespace halfbyte {

void CtcGreedy::accept(const LogProbs& log_probs) {
  FloatEnvironment environment;
  check_log_probs(log_probs, blank_id_);
  for (size_t t = 0; t < log_probs.num_frames; ++t, ++num_frames_) {
    const float* frame = log_probs.frame(t);
    int token = static_cast<int>(std::max_element(frame, frame + log_probs.num_tokens) - frame);
    float log_prob = frame[token];
    score_ += log_prob;
    if (token != blank_id_) {
      if (token != last_) {
        tokens_.push_back(token);
        frames_.push_back(num_frames_);
        peak_ = log_prob;
      } else if (log_prob > peak_) {
        frames_.back() = num_frames_;
        peak_ = log_prob;
      }
    }
    last_ = token;
  }
}

}  // namespace halfbyte
