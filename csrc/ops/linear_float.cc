// x (..., K), w (K, N), bias (N)
#include "ops/shared/linear_shape.h"

namespace halfbyte::ops {

static RunFunction plan(NodePlanner& node) {
  if (node.shape(1).rank() != 2) node.fail("the weights must be a matrix");
  const std::int64_t k = node.shape(1)[0], n = node.shape(1)[1];
  if (node.has(2) && node.shape(2) != Shape{n}) node.fail("the bias must have one value per output");
  if (k == 0) node.fail("the weights have no inputs");
  const std::int64_t rows = plan_linear_shape(node, n, k);
  return [rows, n, k, has_bias = node.has(2), kernels = &node.kernels()](const Operands& operands) {
    float* out = operands.out<float>(0);
    kernels->gemm_f32({rows, n, k, operands.in<float>(0), k, 1, operands.in<float>(1), n, 1, out, n});
    if (!has_bias) return;
    for (std::int64_t row = 0; row < rows; ++row)
      kernels->add(out + row * n, operands.in<float>(2), n, out + row * n);
  };
}

extern const OpDefinition op_linear_float{"LinearFloat", "fff?>f", plan};

}  // namespace halfbyte::ops
