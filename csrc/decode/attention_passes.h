// Second passes by the attention decoder of a model.
#pragma once
#include <functional>
#include <memory>
#include <utility>

#include "decode/decoder.h"
#include "decode/second_pass.h"

namespace halfbyte {

// The first pass's hypotheses in the order of attention_rescoring(). The graph is as GraphDecoder has it.
class RescoringPass : public SecondPass {
 public:
  RescoringPass(GraphRunner& graphs, const char* graph, int boundary_id, double ctc_weight)
      : graphs_(graphs), graph_(graph), boundary_id_(boundary_id), ctc_weight_(ctc_weight) {}
  std::vector<Hypothesis> finalize(std::vector<Hypothesis> hypotheses,
                                   const FloatRows& memory) const override;

 private:
  GraphRunner& graphs_;
  const char* graph_;
  int boundary_id_;
  double ctc_weight_;
};

// attention_search() alone, whatever the first pass found. Blanks that the decoder says are left out.
class AttentionPass : public SecondPass {
 public:
  // decoder_of: the decoder of a segment's memory.
  AttentionPass(std::function<std::unique_ptr<Decoder>(const FloatRows&)> decoder_of, int boundary_id,
                int blank_id, int beam)
      : decoder_of_(std::move(decoder_of)), boundary_id_(boundary_id), blank_id_(blank_id), beam_(beam) {}
  std::vector<Hypothesis> finalize(std::vector<Hypothesis> hypotheses,
                                   const FloatRows& memory) const override;

 private:
  std::function<std::unique_ptr<Decoder>(const FloatRows&)> decoder_of_;
  int boundary_id_, blank_id_, beam_;
};

}  // namespace halfbyte
