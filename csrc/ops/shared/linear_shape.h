#pragma once
#include "graph/operator.h"

namespace halfbyte::ops {

// (..., K) times N outputs: sets the output's shape (..., N) and returns the number of rows.
inline std::int64_t plan_linear_shape(NodePlanner& node, std::int64_t n, std::int64_t k) {
  Shape shape = node.shape(0);
  const int last = shape.rank() - 1;
  if (last < 0 || shape[last] != k)
    node.fail("the last axis must have as many values as the weights have inputs");
  shape[last] = n;
  node.set_output(0, shape);
  return shape.product(0, last);
}

}  // namespace halfbyte::ops
