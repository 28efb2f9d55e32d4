// The axes are an attribute.
#include <algorithm>

#include "ops/shared/axes.h"

namespace halfbyte::ops {

static RunFunction plan(NodePlanner& node) {
  const Shape& from = node.shape(0);
  const auto* axes = node.numbers_attribute("axes");
  const int rank =
      from.rank() +
      static_cast<int>(axes == nullptr ? 0 : std::min<std::size_t>(axes->size(), Shape::kMaxRank + 1));
  const std::vector<bool> chosen = chosen_axes(node, rank);
  Shape shape;
  int next = 0;
  for (int axis = 0; axis < rank; ++axis) {
    if (!chosen[axis] && next == from.rank()) node.fail("axes holds an axis twice");
    shape.push_back(chosen[axis] ? 1 : from[next++]);
  }
  return plan_view(node, shape);
}

extern const OpDefinition op_unsqueeze{"Unsqueeze", "A>A", plan};

}  // namespace halfbyte::ops
