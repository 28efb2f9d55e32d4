// Beam search with the attention decoder alone.
#pragma once
#include <cstddef>
#include <vector>

#include "decode/decoder.h"

namespace halfbyte {

struct AttentionSearchOptions {
  int sos_id;
  int eos_id;
  int beam = 10;
  size_t max_tokens = 0;  // without eos; commonly the number of memory frames
};

struct AttentionHypothesis {
  std::vector<int> tokens;  // without sos and eos
  double score;             // sum of log P of the tokens and of eos
};

// Token by token, keeps the `beam` best hypotheses; one that takes eos is finished and keeps its
// place. After `max_tokens` tokens only eos may follow. Stops when no unfinished hypothesis scores
// above the best finished one, for scores only fall. Returns the finished ones, best first, at most
// `beam`; of equals, the one found first (from the better prefix, then the likelier token, then the
// lower id). Throws Error(kUsage) unless beam is 1 to 1000, Error(kInput) for NaN log probabilities.
std::vector<AttentionHypothesis> attention_search(Decoder& decoder, const AttentionSearchOptions& options);

}  // namespace halfbyte
