// Over time, without padding: x (B, T, D), weight (taps, D), bias (D).
#include "graph/operator.h"

namespace halfbyte::ops {

static RunFunction plan(NodePlanner& node) {
  const Shape& x = node.shape(0);
  const Shape& weight = node.shape(1);
  if (x.rank() != 3 || weight.rank() != 2 || weight[1] != x[2] || node.shape(2) != Shape{x[2]})
    node.fail("expected x (B, T, D), weight (taps, D) and bias (D)");
  const std::int64_t frames = x[1] - weight[0] + 1, taps = weight[0], d = x[2];
  if (frames < 1 || taps < 1) node.fail("there are fewer frames than taps");
  node.set_output(0, {x[0], frames, d});
  return
      [=, batch = x[0], in_frames = x[1], kernel = node.kernels().depthwise_conv](const Operands& operands) {
        for (std::int64_t b = 0; b < batch; ++b)
          kernel({frames, taps, d, operands.in<float>(0) + b * in_frames * d, operands.in<float>(1),
                  operands.in<float>(2), operands.out<float>(0) + b * frames * d});
      };
}

extern const OpDefinition op_depthwise_conv{"DepthwiseConv", "fff>f", plan};

}  // namespace halfbyte::ops
