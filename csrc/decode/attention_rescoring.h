// Second pass: the attention decoder judges what the CTC search found.
#pragma once
#include <cstddef>
#include <vector>

#include "decode/decoder.h"

namespace halfbyte {

struct RescoringOptions {
  int sos_id;
  int eos_id;
  double ctc_weight = 0.5;
};

struct CtcCandidate {
  std::vector<int> tokens;
  double ctc_score;
};

struct Rescored {
  size_t index;            // into the candidates
  double score;            // attention_score + ctc_weight * ctc_score
  double attention_score;  // sum over j of log P(token j | tokens before) + log P(eos | all tokens)
  std::vector<float> token_log_probs;  // of each token, without eos
};

// All candidates in one batch, padded at the end with eos; the best score first, of equals the lower
// index. Throws Error(kInput) for no candidates, a token outside the decoder's vocabulary, or scores
// that are NaN.
// Source: Zhang et al. 2020 (arXiv:2012.05481) as in WeNet, without a right-to-left decoder.
std::vector<Rescored> attention_rescoring(Decoder& decoder, const std::vector<CtcCandidate>& candidates,
                                          const RescoringOptions& options);

}  // namespace halfbyte
