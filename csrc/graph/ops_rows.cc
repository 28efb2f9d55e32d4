#include "graph/ops.h"

namespace halfbyte::ops {
namespace {

// Rows along the last axis; `axis` must name it.
std::int64_t row_size(NodePlanner& node) {
  const Shape& shape = node.shape(0);
  if (shape.rank() == 0) node.fail("a scalar has no last axis");
  if (node.axis(node.attribute("axis", -1), shape.rank()) != shape.rank() - 1)
    node.fail("only the last axis runs; transpose before");
  return shape[shape.rank() - 1];
}

RunFunction plan_rows(NodePlanner& node, RowOp kernel) {
  const std::int64_t d = row_size(node);
  node.set_output(0, node.shape(0));
  node.allow_in_place(0);
  const std::int64_t rows = node.shape(0).product(0, node.shape(0).rank() - 1);
  if (d == 0) return [](const Operands&) {};
  return [kernel, rows, d](const Operands& operands) {
    kernel(operands.in<float>(0), rows, d, operands.out<float>(0));
  };
}

}  // namespace

RunFunction plan_softmax(NodePlanner& node) { return plan_rows(node, node.kernels().softmax); }
RunFunction plan_log_softmax(NodePlanner& node) { return plan_rows(node, node.kernels().log_softmax); }

RunFunction plan_layer_norm(NodePlanner& node) {
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

RunFunction plan_glu(NodePlanner& node) {
  const std::int64_t d = row_size(node);
  if (d % 2 != 0) node.fail("the last axis must have an even size");
  Shape shape = node.shape(0);
  shape[shape.rank() - 1] = d / 2;
  node.set_output(0, shape);
  return [rows = shape.product(0, shape.rank() - 1), half = d / 2, kernel = node.kernels().glu](
             const Operands& operands) { kernel(operands.in<float>(0), rows, half, operands.out<float>(0)); };
}

}  // namespace halfbyte::ops
