// The attention decoder of a model file.
#pragma once
#include <vector>

#include "decode/decoder.h"
#include "graph/session.h"

namespace halfbyte {

// Runs a graph with the inputs `tokens` (N, L) int64 and `memory` (1, T, D) float32 and the output
// `log_probs` (N, L, V) float32 (docs/model-file.md). The session must outlive the decoder and serve
// nobody else while it runs.
class GraphDecoder : public Decoder {
 public:
  // memory: (num_frames, width) encoder output of a segment, row-major; kept.
  GraphDecoder(Session& session, std::vector<float> memory, size_t num_frames, size_t width);

  // Throws Error(kModelFile) where the graph's answer has another shape, and what Session throws.
  NextTokenLogProbs run(const TokenRows& tokens) override;

 private:
  Session& session_;
  std::vector<float> memory_;
  Shape memory_shape_;
};

}  // namespace halfbyte
