// The sizes are an attribute.
#include <algorithm>

#include "ops/shared/parts.h"

namespace halfbyte::ops {

static RunFunction plan(NodePlanner& node) {
  const Shape& from = node.shape(0);
  const int axis = node.axis(node.attribute("axis", 0), from.rank());
  std::vector<std::int64_t> sizes;
  if (const auto* given = node.numbers_attribute("split")) {
    sizes = *given;
  } else {  // equal parts, the last may be smaller
    const std::int64_t part = (from[axis] + node.num_outputs() - 1) / node.num_outputs();
    for (int i = 0; i < node.num_outputs(); ++i)
      sizes.push_back(std::clamp<std::int64_t>(from[axis] - i * part, 0, part));
  }
  if (static_cast<int>(sizes.size()) != node.num_outputs()) node.fail("it must have one part per output");
  std::vector<StridedCopy> copies;
  std::int64_t begin = 0;
  bool is_copied = false;
  for (int i = 0; i < node.num_outputs(); ++i) {
    if (sizes[i] < 0 || sizes[i] > from[axis] - begin) node.fail("the parts exceed the axis");
    StridedCopy copy;
    copy.shape = from;
    copy.shape[axis] = sizes[i];
    copy.from = contiguous_strides(from);
    copy.offset = begin * copy.from[axis];
    copy.item_bytes = dtype_bytes(node.dtype(0));
    finish(copy);
    begin += sizes[i];
    const bool is_part_copied = take_part(node, i, copy);
    if (!is_part_copied) copy.shape = {0};  // nothing to copy
    is_copied = is_copied || is_part_copied;
    copies.push_back(copy.merged());
  }
  if (begin != from[axis]) node.fail("the parts do not cover the axis");
  if (!is_copied) return nullptr;
  return [copies](const Operands& operands) {
    for (std::size_t i = 0; i < copies.size(); ++i)
      copies[i].run(operands.in<void>(0), operands.out<void>(static_cast<int>(i)));
  };
}

extern const OpDefinition op_split{"Split", "A>A*", plan};

}  // namespace halfbyte::ops
