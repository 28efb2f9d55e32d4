#include "ops/shared/reduce.h"

namespace halfbyte::ops {

static RunFunction plan(NodePlanner& node) {
  const auto add = [](auto a, auto b) { return a + b; };
  if (node.dtype(0) == DType::kFloat32) return plan_reduce<float>(node, 0.0f, add, kAsItIs, true);
  return plan_reduce<std::uint64_t>(node, 0, add, kAsItIs, true);
}

extern const OpDefinition op_reduce_sum{"ReduceSum", "N>N", plan};

}  // namespace halfbyte::ops
