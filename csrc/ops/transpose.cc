#include "ops/shared/parts.h"

namespace halfbyte::ops {

static RunFunction plan(NodePlanner& node) {
  const Shape& from = node.shape(0);
  const int rank = from.rank();
  std::vector<std::int64_t> order;
  for (int axis = rank - 1; axis >= 0; --axis) order.push_back(axis);
  if (const auto* perm = node.numbers_attribute("perm")) order = *perm;
  if (static_cast<int>(order.size()) != rank) node.fail("perm must have one entry per axis");
  const auto strides = contiguous_strides(from);
  std::vector<bool> seen(static_cast<std::size_t>(rank));
  StridedCopy copy;
  copy.item_bytes = dtype_bytes(node.dtype(0));
  for (int axis = 0; axis < rank; ++axis) {
    const int source = node.axis(order[axis], rank);
    if (seen[source]) node.fail("perm holds an axis twice");
    seen[source] = true;
    copy.shape.push_back(from[source]);
    copy.from[axis] = strides[source];
  }
  finish(copy);
  if (!take_part(node, 0, copy)) return nullptr;
  return copying(copy);
}

extern const OpDefinition op_transpose{"Transpose", "A>A", plan};

}  // namespace halfbyte::ops
