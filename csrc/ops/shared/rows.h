#pragma once
#include "graph/operator.h"

namespace halfbyte::ops {

// Rows along the last axis; `axis` must name it.
inline std::int64_t row_size(NodePlanner& node) {
  const Shape& shape = node.shape(0);
  if (shape.rank() == 0) node.fail("the input is a scalar; expected one axis or more");
  if (node.axis(node.attribute("axis", -1), shape.rank()) != shape.rank() - 1)
    node.fail("only the last axis is supported; transpose before");
  return shape[shape.rank() - 1];
}

template <RowOp Kernels::* kernel>
RunFunction plan_rows(NodePlanner& node) {
  const std::int64_t d = row_size(node);
  node.set_output(0, node.shape(0));
  node.allow_in_place(0);
  const std::int64_t rows = node.shape(0).product(0, node.shape(0).rank() - 1);
  if (d == 0) return [](const Operands&) {};
  return [run = node.kernels().*kernel, rows, d](const Operands& operands) {
    run(operands.in<float>(0), rows, d, operands.out<float>(0));
  };
}

}  // namespace halfbyte::ops
