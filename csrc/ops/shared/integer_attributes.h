// Attributes of integer-only operators.
#pragma once
#include <cstdint>

#include "graph/node_planner.h"
#include "kernels/integer_only.h"

namespace halfbyte {

// The shift n for which `name` is 2^n; 1..largest.
inline int shift_attribute(const NodePlanner& node, const char* name, int largest = kLargestShift) {
  const std::int64_t divisor = node.attribute(name);
  for (int shift = 1; shift <= largest; ++shift)
    if (divisor == std::int64_t{1} << shift) return shift;
  node.fail(std::string(name) + " is " + std::to_string(divisor) + "; expected a power of two up to 2^" +
            std::to_string(largest));
}

inline std::int32_t multiplier_attribute(const NodePlanner& node, const char* name) {
  const std::int64_t multiplier = node.attribute(name);
  if (multiplier < 0 || multiplier > INT32_MAX)
    node.fail(std::string(name) + " is " + std::to_string(multiplier) + ", expected 0 to 2^31 - 1");
  return static_cast<std::int32_t>(multiplier);
}

// Least code of 8 bits: -127, or 0 for a ReLU.
inline std::int32_t low_attribute(const NodePlanner& node) {
  const std::int64_t low = node.attribute("low", -127);
  if (low < -127 || low > 0) node.fail("low must be -127 to 0");
  return static_cast<std::int32_t>(low);
}

}  // namespace halfbyte
