// y = x · wᵀ + b with w widened to float32 on the way: small in the file and in memory, but a float product.
// scales (N, K / G) float32.
#include <string>

#include "graph/operator.h"

namespace halfbyte::ops {

static RunFunction plan(NodePlanner& node) {
  const std::int64_t n = node.shape(1)[0], k = node.shape(1)[1];
  const Shape& scales = node.shape(2);
  const WeightOnlyKernel kernel = node.codec(1).weight_only(node.kernels());
  if (kernel == nullptr) node.fail(std::string("no kernel widens ") + node.codec(1).name);
  if (scales.rank() != 2 || scales[0] != n || scales[1] < 1 || k % scales[1] != 0)
    node.fail("scales must be (N, K / G)");
  if (node.shape(3) != Shape{n}) node.fail("the bias must have one value per output");
  Shape shape = node.shape(0);
  const int last = shape.rank() - 1;
  if (last < 0 || k == 0 || shape[last] != k)
    node.fail("the last axis must have as many values as the weights have inputs");
  shape[last] = n;
  node.set_output(0, shape);
  return [n, k, group = k / scales[1], rows = shape.product(0, last), kernel](const Operands& operands) {
    kernel({rows, n, k, operands.in<float>(0), operands.in<std::uint8_t>(1), operands.in<float>(2), group,
            operands.in<float>(3), operands.out<float>(0)});
  };
}

extern const OpDefinition op_weight_only_linear{"WeightOnlyLinear", "fpff>f", plan};

}  // namespace halfbyte::ops
