// x (..., K) times packed codes (N, K), with float32 scales (N) and bias (N), and what halfbyte.export.fuse
// joins to it: an activation and a residual (quantized_linear.h).
#include "graph/broadcast.h"
#include "ops/shared/linear_shape.h"
#include "ops/shared/quantized_linear.h"

namespace halfbyte::ops {

namespace {

constexpr int kResidual = 4;

// A residual of another shape is added as numpy broadcasts it, after the layer.
RunFunction plan_linear_broadcast(NodePlanner& node, const QuantizedLinear& linear, std::int64_t rows) {
  const Shape y_shape = node.outputs()[0].value.shape;
  const Shape shape = broadcast_shape(node, node.shape(kResidual), y_shape);
  node.set_output(0, shape);
  const BroadcastWalk<2> walk(shape, {node.shape(kResidual), y_shape});
  const std::size_t y_bytes = static_cast<std::size_t>(y_shape.num_elements() + 15) / 16 * 64;
  node.need_scratch(y_bytes + linear.scratch_bytes(rows));
  return [=](const Operands& operands) {
    auto* y = static_cast<float*>(operands.scratch);
    linear.run(operands, operands.in<float>(0), linear.num_inputs(), rows, nullptr, y,
               static_cast<unsigned char*>(operands.scratch) + y_bytes);
    walk.each_row([&](std::int64_t at, const std::array<std::int64_t, 2>& from) {
      for (std::int64_t i = 0; i < walk.inner_size(); ++i)
        operands.out<float>(0)[at + i] = operands.in<float>(kResidual)[from[0] + i * walk.inner_stride(0)] +
                                         y[from[1] + i * walk.inner_stride(1)] * linear.factor();
    });
  };
}

}  // namespace

static RunFunction plan(NodePlanner& node) {
  const QuantizedLinear linear(node);
  const std::int64_t k = linear.num_inputs();
  const std::int64_t rows = plan_linear_shape(node, linear.num_outputs(), k);
  const bool has_residual = node.has(kResidual);
  if (has_residual && node.shape(kResidual) != node.outputs()[0].value.shape)
    return plan_linear_broadcast(node, linear, rows);
  if (has_residual) node.allow_in_place(kResidual);
  node.need_scratch(linear.scratch_bytes(rows));
  return [=](const Operands& operands) {
    linear.run(operands, operands.in<float>(0), k, rows,
               has_residual ? operands.in<float>(kResidual) : nullptr, operands.out<float>(0),
               operands.scratch);
  };
}

extern const OpDefinition op_linear{"Linear", "fpfff?>f", plan};

}  // namespace halfbyte::ops
