#include "ops/shared/binary.h"

namespace halfbyte::ops {

static RunFunction plan(NodePlanner& node) {
  if (is_float_pair(node)) return plan_kernel(node, node.kernels().mul);
  return plan_numeric(node, wrapping([](auto a, auto b) { return a * b; }));
}

extern const OpDefinition op_mul{"Mul", "NN>N", plan};

}  // namespace halfbyte::ops
