// x (..., 2D) -> x[:D] * sigmoid(x[D:])
#include "ops/shared/rows.h"

namespace halfbyte::ops {

static RunFunction plan(NodePlanner& node) {
  const std::int64_t d = row_size(node);
  if (d % 2 != 0) node.fail("the last axis must have an even size");
  Shape shape = node.shape(0);
  shape[shape.rank() - 1] = d / 2;
  node.set_output(0, shape);
  return [rows = shape.product(0, shape.rank() - 1), half = d / 2, kernel = node.kernels().glu](
             const Operands& operands) { kernel(operands.in<float>(0), rows, half, operands.out<float>(0)); };
}

extern const OpDefinition op_glu{"Glu", "f>f", plan};

}  // namespace halfbyte::ops
