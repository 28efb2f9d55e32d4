#include <algorithm>

#include "ops/shared/parts.h"

namespace halfbyte::ops {

static RunFunction plan(NodePlanner& node) {
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
    if (seen[axis]) node.fail("axes holds an axis twice");
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

extern const OpDefinition op_slice{"Slice", "Aiii?i?>A", plan};

}  // namespace halfbyte::ops
