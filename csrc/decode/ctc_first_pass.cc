#include "decode/ctc_first_pass.h"

#include <algorithm>
#include <utility>

#include "decode/ctc_greedy.h"
#include "decode/ctc_prefix_beam.h"

namespace halfbyte {
namespace {

constexpr int kTopTokens = 10;  // likeliest tokens of a step that extend a hypothesis, as in WeNet

std::vector<Hypothesis> best_of(const CtcGreedy& search, std::size_t) {
  return {{search.tokens(), search.frames(), search.score()}};
}

std::vector<Hypothesis> best_of(const CtcPrefixBeam& search, std::size_t n) {
  std::vector<Hypothesis> found;
  for (CtcHypothesis& one : search.best(n))
    found.push_back({std::move(one.tokens), std::move(one.frames), one.score});
  return found;
}

// `Search` begins every segment anew.
template <class Search>
class CtcFirstPass : public FirstPass {
 public:
  explicit CtcFirstPass(const Search& fresh) : fresh_(fresh), search_(fresh) { update(); }

  void accept(const EncodedChunk& chunk) override {
    search_.accept({chunk.log_probs().values.data(), chunk.num_steps(), chunk.log_probs().size(2)});
    update();
  }
  const Hypothesis& partial() const override { return best_; }
  int64_t num_steps() const override { return num_steps_; }

  std::vector<Hypothesis> hypotheses(std::size_t n) const override {
    std::vector<Hypothesis> found = best_of(search_, n);
    const auto is_late = [&](const Hypothesis& one) {
      return !one.steps.empty() && one.steps.back() >= num_steps_;
    };
    found.erase(std::remove_if(found.begin(), found.end(), is_late), found.end());
    if (found.empty()) found.push_back(best_);
    return found;
  }

  void truncate(int64_t num_steps) override {
    num_steps_ = num_steps;
    while (!best_.steps.empty() && best_.steps.back() >= num_steps) {
      best_.steps.pop_back();
      best_.tokens.pop_back();
    }
  }

  void reset() override {
    search_ = fresh_;
    update();
  }

  std::unique_ptr<FirstPass> carry() const override { return std::make_unique<CtcFirstPass>(fresh_); }

  std::string save() const override { return search_.save(); }
  void restore(const std::string& saved) override {
    search_.restore(saved);
    update();
  }

 private:
  void update() {
    num_steps_ = search_.num_frames();
    best_ = std::move(best_of(search_, 1).front());
  }

  Search fresh_, search_;
  int64_t num_steps_ = 0;
  Hypothesis best_;
};

}  // namespace

std::unique_ptr<FirstPass> ctc_greedy_pass(int blank_id) {
  return std::make_unique<CtcFirstPass<CtcGreedy>>(CtcGreedy(blank_id));
}

std::unique_ptr<FirstPass> ctc_prefix_beam_pass(int blank_id, int beam, int num_tokens) {
  return std::make_unique<CtcFirstPass<CtcPrefixBeam>>(
      CtcPrefixBeam(blank_id, beam, std::min(kTopTokens, num_tokens)));
}

}  // namespace halfbyte
