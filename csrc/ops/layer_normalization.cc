// Along the last axis.
#include "ops/shared/rows.h"

namespace halfbyte::ops {

static RunFunction plan(NodePlanner& node) {
  const std::int64_t d = row_size(node);
  if (d == 0 || node.shape(1) != Shape{d} || node.shape(2) != Shape{d})
    node.fail("weight and bias must have the size of the last axis");
  node.set_output(0, node.shape(0));
  node.allow_in_place(0);
  LayerNorm norm{};
  norm.rows = node.shape(0).product(0, node.shape(0).rank() - 1);
  norm.d = d;
  norm.epsilon = node.real_attribute("epsilon", 1e-5f);
  return [norm, kernel = node.kernels().layer_norm](const Operands& operands) {
    LayerNorm bound = norm;
    bound.x = operands.in<float>(0);
    bound.weight = operands.in<float>(1);
    bound.bias = operands.in<float>(2);
    bound.out = operands.out<float>(0);
    kernel(bound);
  };
}

extern const OpDefinition op_layer_normalization{"LayerNormalization", "fff>f", plan};

}  // namespace halfbyte::ops
