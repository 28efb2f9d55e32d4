// When each token of a known sequence was spoken.
#pragma once
#include <cstdint>
#include <vector>

#include "decode/log_probs.h"

namespace halfbyte {

struct AlignedToken {
  int token;
  int64_t start_frame;  // first frame of its run
  int64_t end_frame;    // one past the last
  float confidence;     // mean probability of the token over its run, 0 to 1
  double
      mean_frame;  // of its run, weighted by that probability: steadier than the first, which may hold little
};

// The best single CTC path through `tokens`: blanks between them are free, and needed between two
// equal ones. Of equal paths, the one that moves on as early as possible. O(T * U) time and T * U
// bytes. Throws Error(kInput) where no path of probability above zero exists (too few frames for
// the tokens; a token outside the vocabulary; the blank) and for what check_log_probs() refuses.
std::vector<AlignedToken> ctc_align(const LogProbs& log_probs, const std::vector<int>& tokens, int blank_id);

// The same for tokens that need not come from CTC: where they do not fit into the frames, with a blank
// between equal ones, they are spread evenly and have no confidence.
std::vector<AlignedToken> align_or_spread(const LogProbs& log_probs, const std::vector<int>& tokens,
                                          int blank_id);

}  // namespace halfbyte
