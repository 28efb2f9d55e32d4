#include <cmath>

#include "ops/shared/unary.h"

namespace halfbyte::ops {

static RunFunction plan(NodePlanner& node) {
  return plan_elements<float, float>(node, [](float x) { return std::sqrt(x); });
}

extern const OpDefinition op_sqrt{"Sqrt", "f>f", plan};

}  // namespace halfbyte::ops
