// Reductions; the axes are an attribute.
#pragma once
#include <algorithm>

#include "graph/operator.h"
#include "graph/strided_copy.h"

namespace halfbyte::ops {

constexpr std::int64_t kLanes = 16;

// Element i goes to lane i mod 16; then a halving tree (docs/integer-spec.md). `add` continues a lane.
template <class T, class Add>
T reduce_lanes(const T* x, std::int64_t count, T first, Add add) {
  T lanes[kLanes];
  std::fill(lanes, lanes + kLanes, first);
  std::int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes)
    for (std::int64_t lane = 0; lane < kLanes; ++lane) lanes[lane] = add(lanes[lane], x[i + lane]);
  for (; i < count; ++i) lanes[i % kLanes] = add(lanes[i % kLanes], x[i]);
  for (std::int64_t half = kLanes / 2; half > 0; half /= 2)
    for (std::int64_t lane = 0; lane < half; ++lane) lanes[lane] = add(lanes[lane], lanes[lane + half]);
  return lanes[0];
}

struct Reduction {
  StridedCopy gather;  // moves the reduced axes to the end
  bool is_gathered = false;
  std::int64_t rows = 0;
  std::int64_t count = 0;  // elements reduced into one
};

// Reads the axes, sets the output's shape.
inline Reduction plan_reduction(NodePlanner& node) {
  const Shape& from = node.shape(0);
  const int rank = from.rank();
  const auto* axes = node.numbers_attribute("axes");
  std::vector<bool> is_reduced(static_cast<std::size_t>(rank), axes == nullptr);
  if (axes != nullptr)
    for (std::int64_t axis : *axes) is_reduced[node.axis(axis, rank)] = true;
  const bool keeps = node.attribute("keepdims", 1) != 0;
  const auto strides = contiguous_strides(from);
  Reduction reduction;
  reduction.count = 1;
  Shape shape;
  for (const bool part : {false, true})
    for (int axis = 0; axis < rank; ++axis) {
      if (is_reduced[axis] != part) continue;
      reduction.gather.from[reduction.gather.shape.rank()] = strides[axis];
      reduction.gather.shape.push_back(from[axis]);
      if (part) reduction.count *= from[axis];
    }
  for (int axis = 0; axis < rank; ++axis)
    if (!is_reduced[axis] || keeps) shape.push_back(is_reduced[axis] ? 1 : from[axis]);
  node.set_output(0, shape);
  reduction.rows = shape.num_elements();
  reduction.gather.to = contiguous_strides(reduction.gather.shape);
  reduction.gather.item_bytes = dtype_bytes(node.dtype(0));
  reduction.is_gathered = !std::is_sorted(is_reduced.begin(), is_reduced.end());
  if (reduction.is_gathered)
    node.need_scratch(static_cast<std::size_t>(from.num_elements()) * reduction.gather.item_bytes);
  return reduction;
}

template <class T, class Add, class Finish>
RunFunction plan_reduce(NodePlanner& node, T first, Add add, Finish finish, bool allow_empty) {
  const Reduction reduction = plan_reduction(node);
  if (reduction.count == 0 && !allow_empty) node.fail("there is nothing to reduce");
  return [reduction, first, add, finish](const Operands& operands) {
    const T* x = operands.in<T>(0);
    if (reduction.is_gathered) {
      reduction.gather.run(x, operands.scratch);
      x = static_cast<const T*>(operands.scratch);
    }
    for (std::int64_t row = 0; row < reduction.rows; ++row)
      operands.out<T>(0)[row] =
          finish(reduce_lanes(x + row * reduction.count, reduction.count, first, add), reduction.count);
  };
}

inline constexpr auto kAsItIs = [](auto sum, std::int64_t) { return sum; };

template <class Compare>
RunFunction plan_extreme(NodePlanner& node, float first, std::int64_t first_number, Compare better) {
  const auto pick = [better](auto a, auto b) { return better(a, b) || a != a ? a : b; };
  if (node.dtype(0) == DType::kFloat32) return plan_reduce<float>(node, first, pick, kAsItIs, false);
  return plan_reduce<std::int64_t>(node, first_number, pick, kAsItIs, false);
}

}  // namespace halfbyte::ops
