#include "ops/shared/unary.h"

namespace halfbyte::ops {

static RunFunction plan(NodePlanner& node) {
  if (node.dtype(0) == DType::kFloat32) return plan_elements<float, float>(node, [](float x) { return -x; });
  return plan_elements<std::uint64_t, std::uint64_t>(node, [](std::uint64_t x) { return -x; });
}

extern const OpDefinition op_neg{"Neg", "N>N", plan};

}  // namespace halfbyte::ops
