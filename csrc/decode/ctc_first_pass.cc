#include "decode/ctc_first_pass.h"

#include <algorithm>
#include <utility>

#include "decode/ctc_grammar_search.h"
#include "decode/ctc_greedy.h"
#include "decode/ctc_prefix_beam.h"
#include "error.h"
#include "state_bytes.h"

namespace halfbyte {
namespace {

constexpr uint32_t kGrammarStateTag = 0x314A4248;  // "HBJ1"
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

Hypothesis hypothesis_of(CtcHypothesis found) {
  return {std::move(found.tokens), std::move(found.frames), found.score};
}

// Keeps the log-probabilities: without some of the steps, and from saved bytes, it searches once more.
class CtcGrammarPass : public FirstPass {
 public:
  CtcGrammarPass(const CtcGrammarSearch& fresh, std::size_t num_tokens)
      : fresh_(fresh), search_(fresh), num_tokens_(num_tokens) {
    update();
  }

  void accept(const EncodedChunk& chunk) override {
    const std::vector<float>& values = chunk.log_probs().values;
    search_.accept({values.data(), chunk.num_steps(), num_tokens_});
    update();
    log_probs_.insert(log_probs_.end(), values.begin(), values.end());
  }
  const Hypothesis& partial() const override { return best_; }
  int64_t num_steps() const override { return search_.num_frames(); }

  std::vector<Hypothesis> hypotheses(std::size_t n) const override {
    std::vector<Hypothesis> found;
    for (CtcHypothesis& one : search_.best())
      if (found.size() < n) found.push_back(hypothesis_of(std::move(one)));
    return found;
  }

  void truncate(int64_t num_steps) override {
    log_probs_.resize(static_cast<std::size_t>(num_steps) * num_tokens_);
    search_again();
  }

  void reset() override {
    log_probs_.clear();
    search_again();
  }

  std::unique_ptr<FirstPass> carry() const override {
    return std::make_unique<CtcGrammarPass>(fresh_, num_tokens_);
  }

  std::string save() const override {
    StateWriter writer(kGrammarStateTag);
    writer.put_all(log_probs_);
    return writer.bytes();
  }
  void restore(const std::string& saved) override {
    StateReader reader(kGrammarStateTag, saved);
    std::vector<float> log_probs = reader.get_all<float>();
    reader.finish();
    if (log_probs.size() % num_tokens_ != 0) throw Error(ErrorKind::kInput, "saved search state is damaged");
    CtcGrammarSearch search = fresh_;
    search.accept({log_probs.data(), log_probs.size() / num_tokens_, num_tokens_});
    search_ = std::move(search);
    log_probs_ = std::move(log_probs);
    update();
  }

 private:
  void search_again() {
    search_ = fresh_;
    search_.accept({log_probs_.data(), log_probs_.size() / num_tokens_, num_tokens_});
    update();
  }
  void update() { best_ = hypothesis_of(search_.partial()); }

  CtcGrammarSearch fresh_, search_;
  std::size_t num_tokens_;
  std::vector<float> log_probs_;  // (T, V)
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

std::unique_ptr<FirstPass> ctc_grammar_pass(std::shared_ptr<const Grammar> grammar, int blank_id,
                                            int num_tokens, int num_best) {
  return std::make_unique<CtcGrammarPass>(CtcGrammarSearch(std::move(grammar), blank_id, num_best),
                                          static_cast<std::size_t>(num_tokens));
}

}  // namespace halfbyte
