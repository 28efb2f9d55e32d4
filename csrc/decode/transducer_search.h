// Streaming search of a transducer, step by step of the encoder.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "decode/first_pass.h"
#include "decode/transducer.h"

namespace halfbyte {

struct TransducerSettings {
  int blank_id = 0;
  int num_tokens = 0;   // V, the blank among them
  int beam = 1;         // hypotheses that are kept; 1 is greedy search
  int max_symbols = 1;  // tokens in one step at most; after the last, the next step follows without a blank
};

// Keeps the `beam` likeliest token sequences, all at the same step; probabilities of the alignments of a
// sequence that survive are added. In each step hypotheses say tokens, one after the other, until they say
// the blank; of all that they may say next, the `beam` likeliest are followed, then equal sequences merged.
// Of equal scores, that of the likelier hypothesis and the lower token stays first, so the result is the same
// on every machine and for any split of steps.
//
// `hypotheses` come in the order of score / (tokens + 2), because sums over fewer tokens are larger.
//
// Sources: Graves 2012 (arXiv:1211.3711), greedy; Saon et al. 2020 (doi:10.1109/ICASSP40776.2020.9053040),
// time-synchronous search with merged prefixes.
class TransducerSearch : public FirstPass {
 public:
  // Throws Error(kUsage) unless the beam is 1 to 1000, symbols a step 1 to 100, and the blank a token.
  TransducerSearch(std::shared_ptr<Transducer> model, const TransducerSettings& settings);

  // Reads the encoder output of the chunk. Throws Error(kModelFile) for log-probabilities of other tokens,
  // Error(kInput) for such that are none.
  void accept(const EncodedChunk& chunk) override;
  const Hypothesis& partial() const override { return best_; }
  std::vector<Hypothesis> hypotheses(std::size_t n) const override;
  int64_t num_steps() const override { return num_steps_; }
  void truncate(int64_t num_steps) override;
  void reset() override;
  std::unique_ptr<FirstPass> carry() const override;
  std::string save() const override;
  void restore(const std::string& saved) override;

 private:
  struct Path {
    std::vector<int> tokens;
    std::vector<int64_t> steps;  // of each token, on the likeliest alignment when sequences met
    double score;
    std::shared_ptr<const std::vector<float>> predicted;  // after the tokens; computed when needed
  };
  struct Extension {
    std::size_t path;
    int token;
    double score;
  };

  void accept_step(const float* encoded, std::size_t width);
  void predict(std::vector<Path>* paths);
  std::vector<Extension> extensions(const std::vector<Path>& paths, const float* encoded, std::size_t width);
  Path extended(const Path& path, const Extension& by) const;
  void rank();
  bool is_consistent() const;

  std::shared_ptr<Transducer> model_;
  TransducerSettings settings_;
  int64_t num_heard_ = 0, num_steps_ = 0;  // steps accepted; less those given up
  std::vector<Path> beam_;
  std::vector<Hypothesis> ranked_;
  Hypothesis best_;
};

}  // namespace halfbyte
