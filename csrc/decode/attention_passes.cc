#include "decode/attention_passes.h"

#include <utility>

#include "decode/attention_rescoring.h"
#include "decode/attention_search.h"
#include "decode/graph_decoder.h"

namespace halfbyte {

std::vector<Hypothesis> RescoringPass::finalize(std::vector<Hypothesis> hypotheses,
                                                const FloatRows& memory) const {
  GraphDecoder decoder(graphs_, graph_, memory);
  std::vector<CtcCandidate> candidates;
  for (const Hypothesis& found : hypotheses) candidates.push_back({found.tokens, found.score});
  std::vector<Hypothesis> ranked;
  for (const Rescored& one :
       attention_rescoring(decoder, candidates, {boundary_id_, boundary_id_, ctc_weight_})) {
    ranked.push_back(std::move(hypotheses[one.index]));
    ranked.back().score = one.score;
  }
  return ranked;
}

std::vector<Hypothesis> AttentionPass::finalize(std::vector<Hypothesis>, const FloatRows& memory) const {
  const std::unique_ptr<Decoder> decoder = decoder_of_(memory);
  std::vector<Hypothesis> ranked;
  for (const AttentionHypothesis& one :
       attention_search(*decoder, {boundary_id_, boundary_id_, beam_, memory.num_rows})) {
    ranked.push_back({{}, {}, one.score});
    for (const int token : one.tokens)
      if (token != blank_id_) ranked.back().tokens.push_back(token);
  }
  return ranked;
}

}  // namespace halfbyte
