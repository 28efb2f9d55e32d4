// An attention decoder, as the searches see it.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "error.h"

namespace halfbyte {

// Rows of token ids of one length.
struct TokenRows {
  size_t num_rows;           // N
  size_t num_columns;        // L
  std::vector<int64_t> ids;  // (N, L), row-major
};

// What a decoder gives for TokenRows: (N, L, V) float32, row-major, valid until its next call. One that
// remembers what it was asked before gives the columns from `first_column` on.
struct NextTokenLogProbs {
  const float* data;
  size_t num_columns, num_tokens;  // L, V
  size_t first_column = 0;

  // log P(token after column l of row n | columns 0 .. l of the row, memory): (V,).
  const float* after(size_t n, size_t l) const {
    return data + (n * num_columns + l - first_column) * num_tokens;
  }
};

// P(next token | tokens so far, memory) for a memory that the decoder holds. Causal: columns after l
// never change what comes after l, so rows may be padded at their end.
class Decoder {
 public:
  virtual ~Decoder() = default;
  virtual NextTokenLogProbs run(const TokenRows& tokens) = 0;
};

// V of the answer holds `id`, or throws Error(kInput).
inline void check_vocabulary(const NextTokenLogProbs& answer, int64_t id) {
  if (id >= 0 && static_cast<size_t>(id) < answer.num_tokens) return;
  throw Error(ErrorKind::kInput, "token " + std::to_string(id) + "; the decoder knows " +
                                     std::to_string(answer.num_tokens) + " tokens, from 0");
}

}  // namespace halfbyte
