#include "ops/shared/view.h"

namespace halfbyte::ops {

static RunFunction plan(NodePlanner& node) {
  const std::vector<std::int64_t> sizes = node.known_numbers(1);
  const bool allow_zero = node.attribute("allowzero", 0) != 0;
  const Shape& from = node.shape(0);
  Shape shape;
  int open_axis = -1;
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    std::int64_t size = sizes[i];
    if (size == 0 && !allow_zero && static_cast<int>(i) < from.rank()) size = from[static_cast<int>(i)];
    if (size < -1 || (size == -1 && open_axis >= 0)) node.fail("the new shape is impossible");
    if (size == -1) open_axis = static_cast<int>(i);
    shape.push_back(size == -1 ? 1 : size);
  }
  node.set_output(0, shape);  // refuses sizes whose product could overflow
  const std::int64_t known = shape.num_elements();
  if (open_axis >= 0 && known > 0) shape[open_axis] = from.num_elements() / known;
  if (shape.num_elements() != from.num_elements())
    node.fail("the new shape " + shape.to_string() + " has another number of elements");
  return plan_view(node, shape);
}

extern const OpDefinition op_reshape{"Reshape", "Ai>A", plan};

}  // namespace halfbyte::ops
