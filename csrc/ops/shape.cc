#include <algorithm>

#include "graph/operator.h"

namespace halfbyte::ops {

static RunFunction plan(NodePlanner& node) {
  const int rank = node.shape(0).rank();
  const auto bound = [rank](std::int64_t axis) {
    return std::clamp<std::int64_t>(axis < 0 ? axis + rank : axis, 0, rank);
  };
  std::vector<std::int64_t> sizes;
  for (auto axis = bound(node.attribute("start", 0)); axis < bound(node.attribute("end", rank)); ++axis)
    sizes.push_back(node.shape(0)[static_cast<int>(axis)]);
  node.set_known(0, sizes, {static_cast<std::int64_t>(sizes.size())});
  return nullptr;
}

extern const OpDefinition op_shape{"Shape", "A>i", plan, OpDefinition::Role::kReadsShape};

}  // namespace halfbyte::ops
