#include "decode/ctc_align.h"

#include <algorithm>
#include <limits>
#include <string>

#include "error.h"
#include "kernels/float_environment.h"
#include "specified_math.h"

namespace halfbyte {
namespace {

constexpr double kImpossible = -std::numeric_limits<double>::infinity();

void check_tokens(const LogProbs& log_probs, const std::vector<int>& tokens, int blank_id) {
  for (int token : tokens) {
    if (token < 0 || static_cast<size_t>(token) >= log_probs.num_tokens || token == blank_id) {
      throw Error(ErrorKind::kInput, "token " + std::to_string(token) + " to align; expected 0 to " +
                                         std::to_string(log_probs.num_tokens - 1) + " and not the blank");
    }
  }
}

// States of the path: blank, token 0, blank, token 1, ..., blank. State s is token s / 2 if odd.
class Aligner {
 public:
  Aligner(const LogProbs& log_probs, const std::vector<int>& tokens, int blank_id)
      : log_probs_(log_probs),
        tokens_(tokens),
        blank_id_(blank_id),
        num_states_(2 * tokens.size() + 1),
        steps_(log_probs.num_frames * num_states_) {}

  // The state of each frame on the best path.
  std::vector<size_t> best_states() {
    std::vector<double> before(num_states_, kImpossible), now(num_states_);
    before[0] = 0.0;  // as if a blank had gone before; then frame 0 may stay or move to token 0
    for (size_t t = 0; t < log_probs_.num_frames; ++t) {
      for (size_t s = 0; s < num_states_; ++s) now[s] = score(t, s, before);
      std::swap(before, now);
    }
    size_t last = num_states_ - 1;
    if (last > 0 && before[last - 1] > before[last]) --last;
    if (before[last] == kImpossible) {
      throw Error(ErrorKind::kInput, std::to_string(tokens_.size()) + " tokens on " +
                                         std::to_string(log_probs_.num_frames) +
                                         " frames: no CTC path of probability above zero");
    }
    return trace(last);
  }

 private:
  int token_of(size_t state) const { return state % 2 == 0 ? blank_id_ : tokens_[state / 2]; }

  // Best score of a path in `state` after frame t; notes in steps_ where it came from: 0, 1 or 2
  // states before. Staying wins a tie, so that traced back,
  // the path has moved on early.
  double score(size_t t, size_t state, const std::vector<double>& before) {
    double best = before[state];
    uint8_t step = 0;
    if (state >= 1 && before[state - 1] > best) {
      best = before[state - 1];
      step = 1;
    }
    bool may_skip_blank = state % 2 == 1 && state >= 3 && token_of(state) != token_of(state - 2);
    if (may_skip_blank && before[state - 2] > best) {
      best = before[state - 2];
      step = 2;
    }
    steps_[t * num_states_ + state] = step;
    return best + log_probs_.frame(t)[token_of(state)];
  }

  std::vector<size_t> trace(size_t state) const {
    std::vector<size_t> states(log_probs_.num_frames);
    for (size_t t = states.size(); t-- > 0;) {
      states[t] = state;
      state -= steps_[t * num_states_ + state];
    }
    return states;
  }

  const LogProbs& log_probs_;
  const std::vector<int>& tokens_;
  int blank_id_;
  size_t num_states_;
  std::vector<uint8_t> steps_;  // (T, num_states)
};

AlignedToken run_of(const LogProbs& log_probs, int token, size_t begin, size_t end) {
  double sum = 0.0, weighted = 0.0;
  for (size_t t = begin; t < end; ++t) {
    const double probability = specified_exp(log_probs.frame(t)[token]);
    sum += probability;
    weighted += probability * static_cast<double>(t - begin);
  }
  return {token, static_cast<int64_t>(begin), static_cast<int64_t>(end),
          static_cast<float>(sum / static_cast<double>(end - begin)),
          static_cast<double>(begin) + (sum > 0.0 ? weighted / sum : 0.0)};
}

}  // namespace

std::vector<AlignedToken> ctc_align(const LogProbs& log_probs, const std::vector<int>& tokens, int blank_id) {
  FloatEnvironment environment;
  check_log_probs(log_probs, blank_id);
  check_tokens(log_probs, tokens, blank_id);
  std::vector<size_t> states = Aligner(log_probs, tokens, blank_id).best_states();
  std::vector<AlignedToken> aligned;
  for (size_t t = 0; t < states.size();) {
    size_t end = t;
    while (end < states.size() && states[end] == states[t]) ++end;
    if (states[t] % 2 == 1) aligned.push_back(run_of(log_probs, tokens[states[t] / 2], t, end));
    t = end;
  }
  return aligned;
}

std::vector<AlignedToken> align_or_spread(const LogProbs& log_probs, const std::vector<int>& tokens,
                                          int blank_id) {
  const auto count = static_cast<int64_t>(tokens.size());
  const auto num_frames = static_cast<int64_t>(log_probs.num_frames);
  int64_t least_frames = count;
  for (size_t i = 1; i < tokens.size(); ++i)
    if (tokens[i] == tokens[i - 1]) ++least_frames;  // a blank between them
  if (least_frames <= num_frames) return ctc_align(log_probs, tokens, blank_id);
  std::vector<AlignedToken> spread;
  for (int64_t i = 0; i < count; ++i) {
    const int64_t start = i * num_frames / count;
    spread.push_back({tokens[static_cast<size_t>(i)], start, (i + 1) * num_frames / count, 0.0f,
                      static_cast<double>(start)});
  }
  return spread;
}

}  // namespace halfbyte
