// Operators of two tensors, element by element, as numpy broadcasts them.
#pragma once
#include "graph/broadcast.h"
#include "graph/operator.h"

namespace halfbyte::ops {

// One innermost row; the strides are 0 or 1, and telling the compiler so lets it vectorise.
template <class In, class Out, class Function>
void run_row(Function f, const In* a, std::int64_t stride_a, const In* b, std::int64_t stride_b,
             std::int64_t count, Out* out) {
  if (stride_a == 1 && stride_b == 1) {
    for (std::int64_t i = 0; i < count; ++i) out[i] = f(a[i], b[i]);
  } else if (stride_a == 1 && stride_b == 0) {
    const In right = b[0];
    for (std::int64_t i = 0; i < count; ++i) out[i] = f(a[i], right);
  } else if (stride_a == 0 && stride_b == 1) {
    const In left = a[0];
    for (std::int64_t i = 0; i < count; ++i) out[i] = f(left, b[i]);
  } else {
    for (std::int64_t i = 0; i < count; ++i) out[i] = f(a[i * stride_a], b[i * stride_b]);
  }
}

template <class In, class Out, class Function>
RunFunction plan_pairs(NodePlanner& node, Function f) {
  const Shape shape = broadcast_shape(node, node.shape(0), node.shape(1));
  node.set_output(0, shape);
  for (int input = 0; input < 2; ++input)
    if (sizeof(In) == sizeof(Out) && node.shape(input) == shape) node.allow_in_place(input);
  const BroadcastWalk<2> walk(shape, {node.shape(0), node.shape(1)});
  return [walk, f](const Operands& operands) {
    const In* a = operands.in<In>(0);
    const In* b = operands.in<In>(1);
    Out* out = operands.out<Out>(0);
    walk.each_row([&](std::int64_t at, const std::array<std::int64_t, 2>& from) {
      run_row(f, a + from[0], walk.inner_stride(0), b + from[1], walk.inner_stride(1), walk.inner_size(),
              out + at);
    });
  };
}

// The same arithmetic for float32 and int64.
template <class Function>
RunFunction plan_numeric(NodePlanner& node, Function f) {
  if (node.dtype(0) == DType::kFloat32) return plan_pairs<float, float>(node, f);
  return plan_pairs<std::int64_t, std::int64_t>(node, f);
}

template <class Function>
RunFunction plan_comparison(NodePlanner& node, Function f) {
  switch (node.dtype(0)) {
    case DType::kFloat32:
      return plan_pairs<float, std::uint8_t>(node, f);
    case DType::kInt64:
      return plan_pairs<std::int64_t, std::uint8_t>(node, f);
    default:
      return plan_pairs<std::uint8_t, std::uint8_t>(node, f);
  }
}

// Integers wrap around instead of overflowing, which C++ leaves undefined.
template <class Function>
struct Wrapping {
  Function f;
  float operator()(float a, float b) const { return f(a, b); }
  std::int64_t operator()(std::int64_t a, std::int64_t b) const {
    return static_cast<std::int64_t>(f(static_cast<std::uint64_t>(a), static_cast<std::uint64_t>(b)));
  }
};
template <class Function>
Wrapping<Function> wrapping(Function f) {
  return {f};
}

// Sum or product of float tensors of one shape goes to the vector kernel.
inline RunFunction plan_kernel(NodePlanner& node, BinaryOp kernel) {
  const Shape shape = node.shape(0);
  node.set_output(0, shape);
  node.allow_in_place(0);
  node.allow_in_place(1);
  return [kernel, count = shape.num_elements()](const Operands& operands) {
    kernel(operands.in<float>(0), operands.in<float>(1), count, operands.out<float>(0));
  };
}

inline bool is_float_pair(const NodePlanner& node) {
  return node.dtype(0) == DType::kFloat32 && node.shape(0) == node.shape(1);
}

}  // namespace halfbyte::ops
