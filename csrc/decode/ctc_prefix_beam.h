// Streaming CTC prefix beam search.
#pragma once
#include <cstdint>
#include <limits>
#include <string>
#include <unordered_map>
#include <vector>

#include "decode/log_probs.h"

namespace halfbyte {

struct CtcHypothesis {
  std::vector<int> tokens;
  // For each token of the best single path, the frame where it was likeliest.
  std::vector<int64_t> frames;
  double score;          // log of the probability of `tokens`: all paths that survived pruning
  double viterbi_score;  // log of the probability of the best single path
};

// Keeps the `beam` likeliest token sequences; probabilities of all alignments of a sequence are
// added (in the log domain, in double). Each frame extends by its `num_top_tokens` likeliest tokens
// only. With a beam and a token count that prune nothing, scores are exact.
// Of equal scores, the sequence that was found first stays first; sequences are visited best first,
// tokens likeliest first, so the result is the same on every machine and for any split of frames.
// Copying the object copies the state of the search.
// Source: Hannun et al. 2014 (arXiv:1408.2873), without a language model, pruned as in WeNet.
class CtcPrefixBeam {
 public:
  // Throws Error(kUsage) unless beam and num_top_tokens are 1 to 1000 and blank_id >= 0.
  CtcPrefixBeam(int blank_id, int beam, int num_top_tokens);

  // The next frames. Throws Error(kInput) for what check_log_probs() refuses.
  void accept(const LogProbs& log_probs);
  // Back to frame 0 of a new segment.
  void reset();

  // The `count` best sequences, or as many as there are; likeliest first. Never empty.
  std::vector<CtcHypothesis> best(size_t count) const;
  int64_t num_frames() const { return num_frames_; }

  // The state of the search as bytes (native byte order), and back, into a search of the same
  // settings; throws Error(kInput) if the bytes do not fit.
  std::string save() const;
  void restore(const std::string& bytes);

 private:
  static constexpr double kImpossible = -std::numeric_limits<double>::infinity();

  // A node of the tree of prefixes; node 0 is the empty prefix.
  struct Prefix {
    int32_t parent;
    int32_t token;
  };
  // A token's frame, linked to the tokens before it.
  struct Emission {
    int64_t previous;
    int64_t frame;
  };
  // The best single path to a prefix that ends in blank, or in its last token.
  struct Path {
    double score = kImpossible;
    int64_t emission = -1;        // of the last token...
    bool is_emitted_now = false;  // ...or, if set, of the one before; the last one's frame is now
    float peak = 0;               // highest log probability of the last token in its run
  };
  struct Entry {
    Entry(int32_t parent_node, int32_t last_token) : parent(parent_node), token(last_token) {}

    int32_t parent;  // node; the empty prefix has -1 here and as its token
    int32_t token;
    double blank = kImpossible;  // log probability of all paths that end in blank
    double other = kImpossible;  // ... in the last token
    double total = kImpossible;  // ... in either
    Path best_blank, best_other;
    int32_t prefix = -1;  // node, for entries of the beam

    const Path& best_path() const;
  };

  void accept_frame(const float* frame);
  void extend(const Entry& entry, int token, float log_prob);
  Entry& candidate(int32_t parent, int32_t token);
  void keep_best();
  int32_t prefix_of(int32_t parent, int32_t token);
  void settle(Path* path);
  std::vector<int64_t> prefix_lengths() const;
  std::vector<int64_t> emission_lengths() const;
  bool is_consistent() const;

  int blank_id_, beam_size_, num_top_tokens_;
  int64_t num_frames_ = 0;
  std::vector<Prefix> prefixes_;
  std::unordered_map<uint64_t, int32_t> prefix_index_;
  std::vector<Emission> emissions_;
  std::vector<Entry> beam_;
  // Of the frame at work; kept so that a frame allocates nothing.
  std::vector<Entry> candidates_;
  std::unordered_map<uint64_t, size_t> candidate_index_;
  std::vector<int> tokens_;
};

}  // namespace halfbyte
