#pragma once
#include "ops/shared/view.h"

namespace halfbyte::ops {

// The axes of an attribute, as flags over `rank` axes.
inline std::vector<bool> chosen_axes(const NodePlanner& node, int rank) {
  std::vector<bool> chosen(static_cast<std::size_t>(rank));
  if (const auto* axes = node.numbers_attribute("axes"))
    for (std::int64_t axis : *axes) chosen[node.axis(axis, rank)] = true;
  return chosen;
}

}  // namespace halfbyte::ops
