// First pass: a search that follows the encoder, chunk by chunk.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "graph/graph_runner.h"

namespace halfbyte {

// A chunk of encoder steps.
struct EncodedChunk {
  std::vector<GraphOutputValues> outputs;  // of the encoder, as its pipeline lists them

  const GraphOutputValues& memory() const { return outputs[0]; }     // (1, C, D) encoder output
  const GraphOutputValues& log_probs() const { return outputs[1]; }  // (1, C, V) of a CTC head
  std::size_t num_steps() const { return memory().size(1); }
};

// A sequence of tokens that a pass found.
struct Hypothesis {
  std::vector<int> tokens;
  std::vector<int64_t> steps;  // for each token, the encoder step where it was likeliest; empty if unknown
  double score;                // of the pass: a logarithm, larger is likelier
};

class FirstPass {
 public:
  virtual ~FirstPass() = default;

  // The next chunk of the segment.
  virtual void accept(const EncodedChunk& chunk) = 0;
  // The best hypothesis so far.
  virtual const Hypothesis& partial() const = 0;
  // The n best, or as many as there are, likeliest first; at least one.
  virtual std::vector<Hypothesis> hypotheses(std::size_t n) const = 0;
  // Steps accepted, less those given up.
  virtual int64_t num_steps() const = 0;
  // Gives up the steps after the first `num_steps`; hypotheses with a token there do not count.
  virtual void truncate(int64_t num_steps) = 0;
  // Back to where the segment began.
  virtual void reset() = 0;
  // The pass of the segment that follows this one.
  virtual std::unique_ptr<FirstPass> carry() const = 0;

  // The state as bytes, and back, into a pass of equal settings; throws kInput for bytes that do not fit.
  virtual std::string save() const = 0;
  virtual void restore(const std::string& saved) = 0;
};

}  // namespace halfbyte
