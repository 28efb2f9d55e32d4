#include "ops/shared/integer_depthwise.h"

namespace halfbyte::ops {

static RunFunction plan(NodePlanner& node) {
  return
      [plan = depthwise_of(node), kernel = node.kernels().integer_only.depthwise](const Operands& operands) {
        for (std::int64_t b = 0; b < plan.batch; ++b)
          kernel(plan.of(operands, b), operands.out<std::int32_t>(0) + b * plan.op.frames * plan.op.d);
      };
}

extern const OpDefinition op_int_depthwise{"IntDepthwise", "ccw>w", plan};

}  // namespace halfbyte::ops
