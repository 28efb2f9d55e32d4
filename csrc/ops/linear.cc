// x (..., K) times packed codes (N, K), with float32 scales (N) and bias (N), and what halfbyte.export.fuse
// joins to it: an activation and a residual (quantized_linear.h). Each row of x has a scale of its own.
#include "graph/operator.h"
#include "ops/shared/quantized_linear.h"

namespace halfbyte::ops {

static RunFunction plan(NodePlanner& node) {
  constexpr int kResidual = 4;
  return plan_quantized_linear(node, QuantizedLinear(node), kResidual);
}

extern const OpDefinition op_linear{"Linear", "fpfff?>f", plan};

}  // namespace halfbyte::ops
