// The axis is an attribute.
#include "graph/operator.h"

namespace halfbyte::ops {

template <class T>
RunFunction plan_cumsum_of(NodePlanner& node, int axis, std::int64_t inner) {
  const Shape& from = node.shape(0);
  return [size = from[axis], rows = from.product(0, axis), inner](const Operands& operands) {
    for (std::int64_t row = 0; row < rows; ++row)
      for (std::int64_t i = 0; i < size * inner; ++i) {
        const std::int64_t at = row * size * inner + i;
        const T before = i < inner ? T{0} : operands.out<T>(0)[at - inner];
        operands.out<T>(0)[at] = before + operands.in<T>(0)[at];
      }
  };
}

static RunFunction plan(NodePlanner& node) {
  const Shape& from = node.shape(0);
  const int axis = node.axis(node.attribute("axis"), from.rank());
  node.set_output(0, from);
  const std::int64_t inner = from.product(axis + 1, from.rank());
  if (node.dtype(0) == DType::kFloat32) return plan_cumsum_of<float>(node, axis, inner);
  return plan_cumsum_of<std::uint64_t>(node, axis, inner);
}

extern const OpDefinition op_cum_sum{"CumSum", "N>N", plan};

}  // namespace halfbyte::ops
