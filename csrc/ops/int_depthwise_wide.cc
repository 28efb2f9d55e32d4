// IntDepthwise and RequantizeWide.
#include "ops/shared/integer_attributes.h"
#include "ops/shared/integer_depthwise.h"

namespace halfbyte::ops {

static RunFunction plan(NodePlanner& node) {
  constexpr int kMultipliers = 3;
  const DepthwisePlan plan = depthwise_of(node);
  if (node.shape(kMultipliers) != Shape{plan.op.d}) node.fail("there must be one multiplier per column");
  return [plan, shift = shift_attribute(node, "divisor"),
          kernel = node.kernels().integer_only.depthwise_i16](const Operands& operands) {
    for (std::int64_t b = 0; b < plan.batch; ++b)
      kernel(plan.of(operands, b), operands.in<std::int32_t>(kMultipliers), shift,
             operands.out<std::int16_t>(0) + b * plan.op.frames * plan.op.d);
  };
}

extern const OpDefinition op_int_depthwise_wide{"IntDepthwiseWide", "ccww>s", plan};

}  // namespace halfbyte::ops
