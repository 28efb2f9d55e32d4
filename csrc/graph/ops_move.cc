#include <algorithm>

#include "graph/broadcast.h"
#include "graph/ops.h"
#include "graph/strided_copy.h"

namespace halfbyte::ops {
namespace {

RunFunction copying(const StridedCopy& copy) {
  return [copy = copy.merged()](const Operands& operands) {
    copy.run(operands.in<void>(0), operands.out<void>(0));
  };
}

// A part of input 0 becomes an output: a view if it is contiguous there, else a copy. Returns false for
// a view.
bool take_part(NodePlanner& node, int output, const StridedCopy& copy) {
  const auto dense = contiguous_strides(copy.shape);
  bool is_dense = true;
  for (int axis = 0; axis < copy.shape.rank(); ++axis)
    is_dense = is_dense && (copy.shape[axis] == 1 || copy.from[axis] == dense[axis]);
  if (is_dense || copy.shape.num_elements() == 0) {
    const bool is_empty = copy.shape.num_elements() == 0;
    node.set_view(output, 0, copy.shape, is_empty ? 0 : copy.offset * copy.item_bytes);
    return false;
  }
  node.set_output(output, copy.shape);
  return true;
}

// Fills in strides of the target once the shape is final.
void finish(StridedCopy& copy) { copy.to = contiguous_strides(copy.shape); }

}  // namespace

RunFunction plan_transpose(NodePlanner& node) {
  const Shape& from = node.shape(0);
  const int rank = from.rank();
  std::vector<std::int64_t> order;
  for (int axis = rank - 1; axis >= 0; --axis) order.push_back(axis);
  if (const auto* perm = node.numbers_attribute("perm")) order = *perm;
  if (static_cast<int>(order.size()) != rank) node.fail("perm has another number of axes");
  const auto strides = contiguous_strides(from);
  std::vector<bool> seen(static_cast<std::size_t>(rank));
  StridedCopy copy;
  copy.item_bytes = dtype_bytes(node.dtype(0));
  for (int axis = 0; axis < rank; ++axis) {
    const int source = node.axis(order[axis], rank);
    if (seen[source]) node.fail("perm names an axis twice");
    seen[source] = true;
    copy.shape.push_back(from[source]);
    copy.from[axis] = strides[source];
  }
  finish(copy);
  if (!take_part(node, 0, copy)) return nullptr;
  return copying(copy);
}

RunFunction plan_slice(NodePlanner& node) {
  const Shape& from = node.shape(0);
  const auto starts = node.known_numbers(1), ends = node.known_numbers(2);
  std::vector<std::int64_t> axes, steps(starts.size(), 1);
  for (std::size_t i = 0; i < starts.size(); ++i) axes.push_back(static_cast<std::int64_t>(i));
  if (node.has(3)) axes = node.known_numbers(3);
  if (node.has(4)) steps = node.known_numbers(4);
  if (ends.size() != starts.size() || axes.size() != starts.size() || steps.size() != starts.size())
    node.fail("starts, ends, axes and steps differ in length");
  StridedCopy copy;
  copy.shape = from;
  copy.from = contiguous_strides(from);
  copy.item_bytes = dtype_bytes(node.dtype(0));
  std::vector<bool> seen(static_cast<std::size_t>(from.rank()));
  for (std::size_t i = 0; i < axes.size(); ++i) {
    const int axis = node.axis(axes[i], from.rank());
    if (seen[axis]) node.fail("axes names an axis twice");
    seen[axis] = true;
    const std::int64_t size = from[axis], step = steps[i];
    constexpr std::int64_t kMaxStep = std::int64_t{1} << 31;
    if (step == 0 || step > kMaxStep || step < -kMaxStep) node.fail("a step is 0 or too large");
    // Bounds count from the end if negative, then are cut to what a walk in this direction can touch.
    const std::int64_t low = step > 0 ? 0 : -1, high = step > 0 ? size : size - 1;
    const auto bound = [&](std::int64_t at) { return std::clamp(at < 0 ? at + size : at, low, high); };
    const std::int64_t begin = bound(starts[i]), end = bound(ends[i]);
    const std::int64_t span = step > 0 ? end - begin : begin - end;
    const std::int64_t stride = step > 0 ? step : -step;
    copy.shape[axis] = span <= 0 ? 0 : (span + stride - 1) / stride;
    copy.offset += begin * copy.from[axis];
    copy.from[axis] *= step;
  }
  finish(copy);
  if (!take_part(node, 0, copy)) return nullptr;
  return copying(copy);
}

RunFunction plan_split(NodePlanner& node) {
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
  if (static_cast<int>(sizes.size()) != node.num_outputs())
    node.fail("it has another number of parts than outputs");
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

RunFunction plan_expand(NodePlanner& node) {
  Shape asked;
  for (std::int64_t size : node.known_numbers(1)) asked.push_back(size);
  StridedCopy copy;
  copy.shape = broadcast_shape(node, node.shape(0), asked);
  node.set_output(0, copy.shape);  // refuses negative sizes
  copy.from = broadcast_strides(node.shape(0), copy.shape);
  copy.item_bytes = dtype_bytes(node.dtype(0));
  finish(copy);
  if (!take_part(node, 0, copy)) return nullptr;
  return copying(copy);
}

RunFunction plan_tile(NodePlanner& node) {
  const Shape& from = node.shape(0);
  const auto repeats = node.known_numbers(1);
  if (static_cast<int>(repeats.size()) != from.rank()) node.fail("repeats has another number of axes");
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

}  // namespace halfbyte::ops
