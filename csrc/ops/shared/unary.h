// Operators of one tensor, element by element.
#pragma once
#include "graph/operator.h"

namespace halfbyte::ops {

template <class In, class Out, class Function>
RunFunction plan_elements(NodePlanner& node, Function f) {
  const Shape shape = node.shape(0);
  node.set_output(0, shape);
  if (sizeof(In) == sizeof(Out)) node.allow_in_place(0);
  return [f, count = shape.num_elements()](const Operands& operands) {
    const In* x = operands.in<In>(0);
    Out* out = operands.out<Out>(0);
    for (std::int64_t i = 0; i < count; ++i) out[i] = f(x[i]);
  };
}

// Of float32, by a vector kernel.
template <UnaryOp Kernels::* kernel>
RunFunction plan_kernel(NodePlanner& node) {
  const Shape shape = node.shape(0);
  node.set_output(0, shape);
  node.allow_in_place(0);
  return [run = node.kernels().*kernel, count = shape.num_elements()](const Operands& operands) {
    run(operands.in<float>(0), count, operands.out<float>(0));
  };
}

}  // namespace halfbyte::ops
