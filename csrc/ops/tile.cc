#include "ops/shared/parts.h"

namespace halfbyte::ops {

static RunFunction plan(NodePlanner& node) {
  const Shape& from = node.shape(0);
  const auto repeats = node.known_numbers(1);
  if (static_cast<int>(repeats.size()) != from.rank()) node.fail("repeats must have one entry per axis");
  // Axis i becomes (repeat, size): the repeats have stride 0.
  StridedCopy copy;
  copy.item_bytes = dtype_bytes(node.dtype(0));
  const auto strides = contiguous_strides(from);
  Shape shape = from;
  for (int axis = 0; axis < from.rank(); ++axis) {
    if (repeats[axis] < 0 || repeats[axis] > (1 << 30)) node.fail("a repeat is out of range");
    if (repeats[axis] != 1) copy.shape.push_back(repeats[axis]);
    copy.from[copy.shape.rank()] = strides[axis];
    copy.shape.push_back(from[axis]);
    shape[axis] = from[axis] > 0 && repeats[axis] > (std::int64_t{1} << 40) / from[axis]
                      ? -1
                      : from[axis] * repeats[axis];
  }
  node.set_output(0, shape);
  finish(copy);
  return copying(copy);
}

extern const OpDefinition op_tile{"Tile", "Ai>A", plan};

}  // namespace halfbyte::ops
