#include <algorithm>
#include <cmath>

#include "graph/ops.h"

namespace halfbyte::ops {
namespace {

// The axes of an attribute, as flags over `rank` axes.
std::vector<bool> chosen_axes(const NodePlanner& node, int rank) {
  std::vector<bool> chosen(static_cast<std::size_t>(rank));
  if (const auto* axes = node.numbers_attribute("axes"))
    for (std::int64_t axis : *axes) chosen[node.axis(axis, rank)] = true;
  return chosen;
}

RunFunction plan_view(NodePlanner& node, const Shape& shape) {
  node.set_view(0, 0, shape);
  return nullptr;
}

}  // namespace

RunFunction plan_shape(NodePlanner& node) {
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

RunFunction plan_size(NodePlanner& node) {
  node.set_known(0, {node.shape(0).num_elements()}, {});
  return nullptr;
}

RunFunction plan_identity(NodePlanner& node) { return plan_view(node, node.shape(0)); }

RunFunction plan_reshape(NodePlanner& node) {
  const std::vector<std::int64_t> sizes = node.known_numbers(1);
  const bool allow_zero = node.attribute("allowzero", 0) != 0;
  const Shape& from = node.shape(0);
  Shape shape;
  int open_axis = -1;
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    std::int64_t size = sizes[i];
    if (size == 0 && !allow_zero && static_cast<int>(i) < from.rank()) size = from[static_cast<int>(i)];
    if (size < -1 || (size == -1 && open_axis >= 0)) node.fail("the shape asked for is impossible");
    if (size == -1) open_axis = static_cast<int>(i);
    shape.push_back(size == -1 ? 1 : size);
  }
  node.set_output(0, shape);  // refuses sizes whose product could overflow
  const std::int64_t known = shape.num_elements();
  if (open_axis >= 0 && known > 0) shape[open_axis] = from.num_elements() / known;
  if (shape.num_elements() != from.num_elements())
    node.fail("the shape asked for, " + shape.to_string() + ", has another number of elements");
  return plan_view(node, shape);
}

RunFunction plan_squeeze(NodePlanner& node) {
  const Shape& from = node.shape(0);
  const std::vector<bool> chosen = chosen_axes(node, from.rank());
  const bool takes_all = node.numbers_attribute("axes") == nullptr;
  Shape shape;
  for (int axis = 0; axis < from.rank(); ++axis) {
    if (chosen[axis] && from[axis] != 1) node.fail("the axis to remove has not size 1");
    if (!(takes_all ? from[axis] == 1 : chosen[axis])) shape.push_back(from[axis]);
  }
  return plan_view(node, shape);
}

RunFunction plan_unsqueeze(NodePlanner& node) {
  const Shape& from = node.shape(0);
  const auto* axes = node.numbers_attribute("axes");
  const int rank =
      from.rank() +
      static_cast<int>(axes == nullptr ? 0 : std::min<std::size_t>(axes->size(), Shape::kMaxRank + 1));
  const std::vector<bool> chosen = chosen_axes(node, rank);
  Shape shape;
  int next = 0;
  for (int axis = 0; axis < rank; ++axis) {
    if (!chosen[axis] && next == from.rank()) node.fail("an axis is named twice");
    shape.push_back(chosen[axis] ? 1 : from[next++]);
  }
  return plan_view(node, shape);
}

RunFunction plan_flatten(NodePlanner& node) {
  const Shape& from = node.shape(0);
  const std::int64_t wanted = node.attribute("axis", 1);
  const int axis = wanted == from.rank() ? from.rank() : node.axis(wanted, from.rank());
  return plan_view(node, {from.product(0, axis), from.product(axis, from.rank())});
}

namespace {

template <class T>
RunFunction plan_range_of(NodePlanner& node) {
  for (int input = 0; input < 3; ++input)
    if (node.value(input).known == nullptr || node.shape(input).num_elements() != 1)
      node.fail("start, limit and delta must be single numbers that do not depend on data");
  const auto number = [&node](int input) { return *static_cast<const T*>(node.value(input).known); };
  const T start = number(0), delta = number(2);
  const double steps =
      std::ceil((static_cast<double>(number(1)) - static_cast<double>(start)) / static_cast<double>(delta));
  if (!(std::fabs(steps) < 1e9)) node.fail("the range is not finite");
  const auto count = std::max<std::int64_t>(0, static_cast<std::int64_t>(steps));
  node.set_output(0, {count});
  return [start, delta, count](const Operands& operands) {
    for (std::int64_t i = 0; i < count; ++i) operands.out<T>(0)[i] = start + static_cast<T>(i) * delta;
  };
}

}  // namespace

RunFunction plan_range(NodePlanner& node) {
  if (node.dtype(0) == DType::kFloat32) return plan_range_of<float>(node);
  return plan_range_of<std::int64_t>(node);
}

}  // namespace halfbyte::ops
