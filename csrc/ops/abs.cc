#include <cmath>

#include "ops/shared/unary.h"

namespace halfbyte::ops {

static RunFunction plan(NodePlanner& node) {
  if (node.dtype(0) == DType::kFloat32)
    return plan_elements<float, float>(node, [](float x) { return std::fabs(x); });
  return plan_elements<std::int64_t, std::uint64_t>(node, [](std::int64_t x) {
    return x < 0 ? -static_cast<std::uint64_t>(x) : static_cast<std::uint64_t>(x);
  });
}

extern const OpDefinition op_abs{"Abs", "N>N", plan};

}  // namespace halfbyte::ops
