#include "ops/shared/view.h"

namespace halfbyte::ops {

static RunFunction plan(NodePlanner& node) {
  const Shape& from = node.shape(0);
  const std::int64_t wanted = node.attribute("axis", 1);
  const int axis = wanted == from.rank() ? from.rank() : node.axis(wanted, from.rank());
  return plan_view(node, {from.product(0, axis), from.product(axis, from.rank())});
}

extern const OpDefinition op_flatten{"Flatten", "A>A", plan};

}  // namespace halfbyte::ops
