// An attention decoder that goes on from what it computed before, token by token.
#pragma once
#include <string>
#include <utility>
#include <vector>

#include "decode/decoder.h"
#include "graph/graph_runner.h"

namespace halfbyte {

// For searches whose rows, from one call to the next, are earlier rows and a token more. Runs two graphs:
//   begin: tokens (1, 1), memory (1, T, D) -> log_probs (1, 1, V), cache_out (1, P, K), memory_cache
//   step: tokens (N, 1), cache (N, P, K), memory_cache -> log_probs (N, 1, V), cache_out (N, 1, K)
// The answers are those of GraphDecoder, of the last column alone.
class CachedDecoder : public Decoder {
 public:
  // memory: (T, D) encoder output of a segment, which outlives the decoder, as do the graphs.
  CachedDecoder(GraphRunner& graphs, std::string begin, std::string step, const FloatRows& memory)
      : graphs_(graphs), begin_(std::move(begin)), step_(std::move(step)), memory_(memory) {}

  // Throws Error(kUsage) for rows that do not go on from those of the call before, Error(kModelFile) where a
  // graph's answer has another shape, and what the runs throw.
  NextTokenLogProbs run(const TokenRows& tokens) override;

 private:
  void begin(const TokenRows& tokens);
  void step(const TokenRows& tokens);
  std::size_t parent_of(const int64_t* row) const;

  GraphRunner& graphs_;
  std::string begin_, step_;  // names of the graphs
  FloatRows memory_;
  TokenRows seen_{0, 0, {}};  // rows of the call before
  // Of the call before: log_probs and cache_out; of the first one also memory_cache.
  std::vector<GraphOutputValues> answer_{{"log_probs"}, {"cache_out"}, {"memory_cache"}};
  GraphOutputValues memory_cache_{"memory_cache"};
  std::vector<float> cache_, next_;  // (N, P, K), of the rows of `seen_`; room for the next
};

}  // namespace halfbyte
