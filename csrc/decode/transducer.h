// Predictor and joiner of a transducer, as its searches see them.
#pragma once
#include <cstddef>
#include <vector>

#include "decode/decoder.h"
#include "graph/graph_runner.h"

namespace halfbyte {

// P(token or blank | an encoder step, the last kContextTokens tokens).
class Transducer {
 public:
  static constexpr std::size_t kContextTokens = 2;  // before the first token: blanks

  virtual ~Transducer() = default;
  // contexts: (N, kContextTokens). Returns (N, J), valid until the next call.
  virtual FloatRows predict(const TokenRows& contexts) = 0;
  // encoded and predicted: (N, J), row by row. Returns (N, V) log-probabilities, valid until the next call.
  virtual FloatRows join(const FloatRows& encoded, const FloatRows& predicted) = 0;
};

// Runs two graphs (docs/model-file.md):
//   predictor: tokens (N, 2) int64 -> predicted (N, 1, J)
//   joiner: encoded (N, 1, J), predicted (N, 1, J) -> log_probs (N, 1, V)
class GraphTransducer : public Transducer {
 public:
  // The graphs outlive it.
  GraphTransducer(GraphRunner& graphs, const char* predictor, const char* joiner)
      : graphs_(graphs), predictor_(predictor), joiner_(joiner) {}

  // Both throw Error(kModelFile) where the graph's answer has another shape, and what the run throws.
  FloatRows predict(const TokenRows& contexts) override;
  FloatRows join(const FloatRows& encoded, const FloatRows& predicted) override;

 private:
  GraphRunner& graphs_;
  const char *predictor_, *joiner_;
  std::vector<GraphOutputValues> predicted_{{"predicted"}}, log_probs_{{"log_probs"}};
};

}  // namespace halfbyte
