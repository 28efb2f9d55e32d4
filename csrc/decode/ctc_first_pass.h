// First passes over the log-probabilities of a CTC head.
#pragma once
#include <memory>

#include "decode/first_pass.h"
#include "decode/grammar.h"

namespace halfbyte {

// The likeliest token of every step; one hypothesis.
std::unique_ptr<FirstPass> ctc_greedy_pass(int blank_id);
// Prefix beam search, which keeps `beam` hypotheses; a step extends them by its ten likeliest tokens, as in
// WeNet.
std::unique_ptr<FirstPass> ctc_prefix_beam_pass(int blank_id, int beam, int num_tokens);
// The `num_best` likeliest sentences of a grammar; the partial hypothesis may be the beginning of one.
std::unique_ptr<FirstPass> ctc_grammar_pass(std::shared_ptr<const Grammar> grammar, int blank_id,
                                            int num_tokens, int num_best);

}  // namespace halfbyte
