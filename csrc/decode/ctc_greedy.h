// Streaming greedy CTC search.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "decode/log_probs.h"

namespace halfbyte {

// The likeliest token of every frame (of equals, the lowest id), repeats merged, blanks dropped.
// Copying the object copies the state of the search.
class CtcGreedy {
 public:
  explicit CtcGreedy(int blank_id) : blank_id_(blank_id) {}

  // The next frames. Throws Error(kInput) for what check_log_probs() refuses.
  void accept(const LogProbs& log_probs);
  // Back to frame 0 of a new segment.
  void reset() { *this = CtcGreedy(blank_id_); }

  const std::vector<int>& tokens() const { return tokens_; }
  // For each token, the frame where it was likeliest, counted from the last reset.
  const std::vector<int64_t>& frames() const { return frames_; }
  // Sum of the log probabilities of the path.
  double score() const { return score_; }
  int64_t num_frames() const { return num_frames_; }

  // The state of the search as bytes (native byte order), and back, into a search of the same
  // blank_id; throws Error(kInput) if the bytes do not fit.
  std::string save() const;
  void restore(const std::string& bytes);

 private:
  bool is_consistent() const;

  int blank_id_;
  int last_ = -1;   // token of the last frame
  float peak_ = 0;  // its highest log probability in this run
  int64_t num_frames_ = 0;
  double score_ = 0;
  std::vector<int> tokens_;
  std::vector<int64_t> frames_;
};

}  // namespace halfbyte
