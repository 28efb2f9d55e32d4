#include "decode/attention_rescoring.h"

#include <algorithm>

#include "kernels/float_environment.h"

namespace halfbyte {
namespace {

TokenRows padded_rows(const std::vector<CtcCandidate>& candidates, const RescoringOptions& options) {
  size_t longest = 0;
  for (const CtcCandidate& c : candidates) longest = std::max(longest, c.tokens.size());
  TokenRows rows{candidates.size(), longest + 1, {}};
  rows.ids.assign(rows.num_rows * rows.num_columns, options.eos_id);
  for (size_t n = 0; n < candidates.size(); ++n) {
    auto row = rows.ids.begin() + static_cast<ptrdiff_t>(n * rows.num_columns);
    *row = options.sos_id;
    std::copy(candidates[n].tokens.begin(), candidates[n].tokens.end(), row + 1);
  }
  return rows;
}

Rescored rescore(const CtcCandidate& candidate, size_t n, const NextTokenLogProbs& answer,
                 const RescoringOptions& options) {
  Rescored result{n, 0.0, 0.0, {}};
  for (size_t j = 0; j < candidate.tokens.size(); ++j) {
    check_vocabulary(answer, candidate.tokens[j]);
    result.token_log_probs.push_back(answer.after(n, j)[candidate.tokens[j]]);
    result.attention_score += result.token_log_probs.back();
  }
  result.attention_score += answer.after(n, candidate.tokens.size())[options.eos_id];
  result.score = result.attention_score + options.ctc_weight * candidate.ctc_score;
  if (result.score != result.score) {
    throw Error(ErrorKind::kInput,
                "candidate " + std::to_string(n) + " has a score of NaN; expected finite log probabilities");
  }
  return result;
}

}  // namespace

std::vector<Rescored> attention_rescoring(Decoder& decoder, const std::vector<CtcCandidate>& candidates,
                                          const RescoringOptions& options) {
  if (candidates.empty()) {
    throw Error(ErrorKind::kInput, "no candidates to rescore; expected at least one");
  }
  FloatEnvironment environment;
  NextTokenLogProbs answer = decoder.run(padded_rows(candidates, options));
  check_vocabulary(answer, options.eos_id);
  std::vector<Rescored> results;
  for (size_t n = 0; n < candidates.size(); ++n) {
    results.push_back(rescore(candidates[n], n, answer, options));
  }
  std::stable_sort(results.begin(), results.end(),
                   [](const Rescored& a, const Rescored& b) { return a.score > b.score; });
  return results;
}

}  // namespace halfbyte
