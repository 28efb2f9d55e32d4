// The attention decoder of a model.
#pragma once
#include <string>
#include <vector>

#include "decode/decoder.h"
#include "graph/graph_runner.h"

namespace halfbyte {

// Runs a graph with the inputs `tokens` (N, L) int64 and `memory` (1, T, D) float32 and the output
// `log_probs` (N, L, V) float32 (docs/model-file.md).
class GraphDecoder : public Decoder {
 public:
  // memory: (T, D) encoder output of a segment, which outlives the decoder, as do the graphs.
  GraphDecoder(GraphRunner& graphs, std::string graph, const FloatRows& memory)
      : graphs_(graphs), graph_(std::move(graph)), memory_(memory) {}

  // Throws Error(kModelFile) where the graph's answer has another shape, and what the run throws.
  NextTokenLogProbs run(const TokenRows& tokens) override;

 private:
  GraphRunner& graphs_;
  std::string graph_;
  FloatRows memory_;
  std::vector<GraphOutputValues> answer_{{"log_probs"}};
};

}  // namespace halfbyte
