#include "graph/broadcast.h"
#include "graph/ops.h"
#include "graph/quantized_linear.h"
#include "kernels/packing.h"

namespace halfbyte::ops {
namespace {

constexpr int kResidual = 4;

// (..., K) times N outputs: sets the output's shape (..., N) and returns the number of rows.
std::int64_t plan_linear_shape(NodePlanner& node, std::int64_t n, std::int64_t k) {
  Shape shape = node.shape(0);
  const int last = shape.rank() - 1;
  if (last < 0 || shape[last] != k) node.fail("the last axis has not the size of the weights' inputs");
  shape[last] = n;
  node.set_output(0, shape);
  return shape.product(0, last);
}

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

RunFunction plan_linear(NodePlanner& node) {
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

RunFunction plan_embedding(NodePlanner& node) {
  const int bits = packed_bits(node.dtype(1));
  const std::int64_t v = node.shape(1)[0], d = node.shape(1)[1];
  if (node.shape(2) != Shape{v}) node.fail("scales must have one value per row");
  Shape shape = node.shape(0);
  shape.push_back(d);
  node.set_output(0, shape);
  return [=, count = node.shape(0).num_elements()](const Operands& operands) {
    const EmbeddingTable table{bits, v, d, operands.in<std::uint8_t>(1), operands.in<float>(2)};
    embedding(table, operands.in<std::int64_t>(0), count, operands.out<float>(0));
  };
}

RunFunction plan_linear_float(NodePlanner& node) {
  if (node.shape(1).rank() != 2) node.fail("the weights are no matrix");
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

}  // namespace halfbyte::ops
