// The axes are an attribute.
#include "ops/shared/axes.h"

namespace halfbyte::ops {

static RunFunction plan(NodePlanner& node) {
  const Shape& from = node.shape(0);
  const std::vector<bool> chosen = chosen_axes(node, from.rank());
  const bool takes_all = node.numbers_attribute("axes") == nullptr;
  Shape shape;
  for (int axis = 0; axis < from.rank(); ++axis) {
    if (chosen[axis] && from[axis] != 1) node.fail("the axis to remove must have size 1");
    if (!(takes_all ? from[axis] == 1 : chosen[axis])) shape.push_back(from[axis]);
  }
  return plan_view(node, shape);
}

extern const OpDefinition op_squeeze{"Squeeze", "A>A", plan};

}  // namespace halfbyte::ops
