#pragma once
#include "graph/operator.h"

namespace halfbyte::ops {

struct DepthwisePlan {
  IntegerDepthwise op;
  std::int64_t batch, in_frames;

  IntegerDepthwise of(const Operands& operands, std::int64_t b) const {
    IntegerDepthwise one = op;
    one.x = operands.in<std::int8_t>(0) + b * in_frames * op.d;
    one.weight = operands.in<std::int8_t>(1);
    one.bias = operands.in<std::int32_t>(2);
    return one;
  }
};

inline DepthwisePlan depthwise_of(NodePlanner& node) {
  const Shape &x = node.shape(0), &weight = node.shape(1);
  if (x.rank() != 3 || weight.rank() != 2 || weight[1] != x[2] || node.shape(2) != Shape{x[2]})
    node.fail("expected x (B, T, D), weight (taps, D) and bias (D)");
  const std::int64_t taps = weight[0], d = x[2], frames = x[1] - taps + 1;
  if (frames < 1 || taps < 1 || taps > 32768) node.fail("there are fewer frames than taps, or too many");
  node.set_output(0, {x[0], frames, d});
  return {{frames, taps, d, nullptr, nullptr, nullptr}, x[0], x[1]};
}

}  // namespace halfbyte::ops
