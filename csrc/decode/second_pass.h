// Second pass: judges what the first pass found, or searches anew, once the segment has ended.
#pragma once
#include <vector>

#include "decode/first_pass.h"

namespace halfbyte {

class SecondPass {
 public:
  virtual ~SecondPass() = default;
  // The final hypotheses, likeliest first; at least one.
  // hypotheses: of the first pass. memory: (T, D) encoder output of the segment.
  virtual std::vector<Hypothesis> finalize(std::vector<Hypothesis> hypotheses,
                                           const FloatRows& memory) const = 0;
};

}  // namespace halfbyte
