#include <algorithm>
#include <cmath>

#include "graph/operator.h"

namespace halfbyte::ops {

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

static RunFunction plan(NodePlanner& node) {
  if (node.dtype(0) == DType::kFloat32) return plan_range_of<float>(node);
  return plan_range_of<std::int64_t>(node);
}

extern const OpDefinition op_range{"Range", "NNN>N", plan};

}  // namespace halfbyte::ops
