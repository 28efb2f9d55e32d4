#include "decode/attention_search.h"

#include <algorithm>
#include <utility>

#include "decode/log_probs.h"
#include "kernels/float_environment.h"

namespace halfbyte {
namespace {

struct Hypothesis {
  std::vector<int> tokens;
  double score;
  bool is_finished;
};

class Search {
 public:
  Search(Decoder& decoder, const AttentionSearchOptions& options)
      : decoder_(decoder), options_(options), beam_{Hypothesis{{}, 0.0, false}} {}

  std::vector<AttentionHypothesis> run() {
    for (size_t length = 0; !is_decided(); ++length) step(length);
    std::vector<AttentionHypothesis> results;
    for (Hypothesis& h : beam_) {
      if (h.is_finished) results.push_back(AttentionHypothesis{std::move(h.tokens), h.score});
    }
    return results;
  }

 private:
  // beam_ is sorted: if its first is finished, nothing can overtake it.
  bool is_decided() const { return beam_.front().is_finished; }

  // All unfinished hypotheses have `length` tokens.
  void step(size_t length) {
    NextTokenLogProbs answer = decoder_.run(unfinished_rows(length));
    check_vocabulary(answer, options_.eos_id);
    std::vector<Hypothesis> extended;
    size_t row = 0;
    for (Hypothesis& h : beam_) {
      if (h.is_finished) {
        extended.push_back(std::move(h));
      } else {
        extend(h, answer.after(row++, length), answer.num_tokens, length, &extended);
      }
    }
    std::stable_sort(extended.begin(), extended.end(),
                     [](const Hypothesis& a, const Hypothesis& b) { return a.score > b.score; });
    if (extended.size() > static_cast<size_t>(options_.beam)) {
      extended.resize(static_cast<size_t>(options_.beam));
    }
    beam_ = std::move(extended);
  }

  TokenRows unfinished_rows(size_t length) const {
    TokenRows rows{0, length + 1, {}};
    for (const Hypothesis& h : beam_) {
      if (h.is_finished) continue;
      ++rows.num_rows;
      rows.ids.push_back(options_.sos_id);
      rows.ids.insert(rows.ids.end(), h.tokens.begin(), h.tokens.end());
    }
    return rows;
  }

  void extend(const Hypothesis& hypothesis, const float* log_probs, size_t num_tokens, size_t length,
              std::vector<Hypothesis>* extended) {
    check_log_probs(LogProbs{log_probs, 1, num_tokens}, options_.eos_id);
    if (length == options_.max_tokens) {
      next_.assign(1, options_.eos_id);
    } else {
      top_tokens(log_probs, num_tokens, static_cast<size_t>(options_.beam), &next_);
    }
    for (int token : next_) {
      Hypothesis longer = hypothesis;
      longer.score += log_probs[token];
      longer.is_finished = token == options_.eos_id;
      if (!longer.is_finished) longer.tokens.push_back(token);
      extended->push_back(std::move(longer));
    }
  }

  Decoder& decoder_;
  const AttentionSearchOptions& options_;
  std::vector<Hypothesis> beam_;  // best first
  std::vector<int> next_;
};

}  // namespace

std::vector<AttentionHypothesis> attention_search(Decoder& decoder, const AttentionSearchOptions& options) {
  if (options.beam < 1 || options.beam > 1000) {
    throw Error(ErrorKind::kUsage,
                "attention_search: beam is " + std::to_string(options.beam) + "; expected 1 to 1000");
  }
  FloatEnvironment environment;
  return Search(decoder, options).run();
}

}  // namespace halfbyte
