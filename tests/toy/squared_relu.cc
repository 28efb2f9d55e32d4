// y = max(x, 0)², element by element
#include "ops/shared/unary.h"

namespace halfbyte::ops {

static RunFunction plan(NodePlanner& node) {
  return plan_elements<float, float>(node, [](float x) { return x < 0.0f ? 0.0f : x * x; });
}

extern const OpDefinition op_squared_relu{"SquaredRelu", "f>f", plan};

}  // namespace halfbyte::ops
