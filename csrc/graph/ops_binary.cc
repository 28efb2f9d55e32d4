#include <cmath>

#include "graph/broadcast.h"
#include "graph/ops.h"

namespace halfbyte::ops {
namespace {

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
RunFunction plan_elements(NodePlanner& node, Function f) {
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
  if (node.dtype(0) == DType::kFloat32) return plan_elements<float, float>(node, f);
  return plan_elements<std::int64_t, std::int64_t>(node, f);
}

template <class Function>
RunFunction plan_comparison(NodePlanner& node, Function f) {
  switch (node.dtype(0)) {
    case DType::kFloat32:
      return plan_elements<float, std::uint8_t>(node, f);
    case DType::kInt64:
      return plan_elements<std::int64_t, std::uint8_t>(node, f);
    default:
      return plan_elements<std::uint8_t, std::uint8_t>(node, f);
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

struct Divide {
  float operator()(float a, float b) const { return a / b; }
  // Towards zero. A division by zero gives 0: integer inputs may be data of a hostile file.
  std::int64_t operator()(std::int64_t a, std::int64_t b) const {
    if (b == 0) return 0;
    return b == -1 ? static_cast<std::int64_t>(-static_cast<std::uint64_t>(a)) : a / b;
  }
};

// ONNX Mod: fmod = 0 takes the divisor's sign (integers), fmod = 1 the dividend's.
struct FloorMod {
  std::int64_t operator()(std::int64_t a, std::int64_t b) const {
    if (b == 0 || b == -1) return 0;
    const std::int64_t rest = a % b;
    return rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
  }
};
struct TruncatedMod {
  float operator()(float a, float b) const { return std::fmod(a, b); }
  std::int64_t operator()(std::int64_t a, std::int64_t b) const { return b == 0 || b == -1 ? 0 : a % b; }
};

// a^b for a >= 0 as exp(b * log(a)), both of the engine; whole exponents up to 64 by products.
float power(const Kernels& kernels, float a, float b) {
  if (b == 0.5f) return std::sqrt(a);
  if (b == std::floor(b) && std::fabs(b) <= 64) {
    float product = 1;
    for (int i = 0; i < static_cast<int>(std::fabs(b)); ++i) product *= a;
    return b < 0 ? 1 / product : product;
  }
  float value;
  kernels.log(&a, 1, &value);
  value *= b;
  kernels.exp(&value, 1, &value);
  return value;
}

std::int64_t integer_power(std::int64_t a, std::int64_t b) {
  if (b < 0) return a == 1 ? 1 : a == -1 ? (b % 2 == 0 ? 1 : -1) : 0;
  std::uint64_t product = 1, square = static_cast<std::uint64_t>(a);
  for (; b > 0; b >>= 1, square *= square)
    if (b & 1) product *= square;
  return static_cast<std::int64_t>(product);
}

// Sum or product of float tensors of one shape goes to the vector kernel.
RunFunction plan_kernel(NodePlanner& node, BinaryOp kernel) {
  const Shape shape = node.shape(0);
  node.set_output(0, shape);
  node.allow_in_place(0);
  node.allow_in_place(1);
  return [kernel, count = shape.num_elements()](const Operands& operands) {
    kernel(operands.in<float>(0), operands.in<float>(1), count, operands.out<float>(0));
  };
}

bool is_float_pair(const NodePlanner& node) {
  return node.dtype(0) == DType::kFloat32 && node.shape(0) == node.shape(1);
}

}  // namespace

RunFunction plan_add(NodePlanner& node) {
  if (is_float_pair(node)) return plan_kernel(node, node.kernels().add);
  return plan_numeric(node, wrapping([](auto a, auto b) { return a + b; }));
}
RunFunction plan_sub(NodePlanner& node) {
  return plan_numeric(node, wrapping([](auto a, auto b) { return a - b; }));
}
RunFunction plan_mul(NodePlanner& node) {
  if (is_float_pair(node)) return plan_kernel(node, node.kernels().mul);
  return plan_numeric(node, wrapping([](auto a, auto b) { return a * b; }));
}
RunFunction plan_div(NodePlanner& node) { return plan_numeric(node, Divide{}); }
RunFunction plan_mod(NodePlanner& node) {
  if (node.attribute("fmod", 0) == 1) return plan_numeric(node, TruncatedMod{});
  if (node.dtype(0) == DType::kFloat32) node.fail("Mod of float32 needs fmod=1");
  return plan_elements<std::int64_t, std::int64_t>(node, FloorMod{});
}
RunFunction plan_pow(NodePlanner& node) {
  if (node.dtype(0) == DType::kInt64) return plan_elements<std::int64_t, std::int64_t>(node, integer_power);
  const Kernels* kernels = &node.kernels();
  return plan_elements<float, float>(node, [kernels](float a, float b) { return power(*kernels, a, b); });
}
RunFunction plan_max(NodePlanner& node) {
  return plan_numeric(node, [](auto a, auto b) { return a > b || a != a ? a : b; });
}
RunFunction plan_min(NodePlanner& node) {
  return plan_numeric(node, [](auto a, auto b) { return a < b || a != a ? a : b; });
}
RunFunction plan_equal(NodePlanner& node) {
  return plan_comparison(node, [](auto a, auto b) { return std::uint8_t(a == b); });
}
RunFunction plan_less(NodePlanner& node) {
  return plan_comparison(node, [](auto a, auto b) { return std::uint8_t(a < b); });
}
RunFunction plan_less_or_equal(NodePlanner& node) {
  return plan_comparison(node, [](auto a, auto b) { return std::uint8_t(a <= b); });
}
RunFunction plan_greater(NodePlanner& node) {
  return plan_comparison(node, [](auto a, auto b) { return std::uint8_t(a > b); });
}
RunFunction plan_greater_or_equal(NodePlanner& node) {
  return plan_comparison(node, [](auto a, auto b) { return std::uint8_t(a >= b); });
}
RunFunction plan_and(NodePlanner& node) {
  return plan_comparison(node, [](auto a, auto b) { return std::uint8_t(a != 0 && b != 0); });
}
RunFunction plan_or(NodePlanner& node) {
  return plan_comparison(node, [](auto a, auto b) { return std::uint8_t(a != 0 || b != 0); });
}

namespace {

template <class T>
RunFunction plan_choice(NodePlanner& node) {
  const Shape values = broadcast_shape(node, node.shape(1), node.shape(2));
  const Shape shape = broadcast_shape(node, node.shape(0), values);
  node.set_output(0, shape);
  const BroadcastWalk<3> walk(shape, {node.shape(0), node.shape(1), node.shape(2)});
  return [walk](const Operands& operands) {
    const auto* choice = operands.in<std::uint8_t>(0);
    const T* yes = operands.in<T>(1);
    const T* no = operands.in<T>(2);
    T* out = operands.out<T>(0);
    walk.each_row([&](std::int64_t at, const std::array<std::int64_t, 3>& from) {
      for (std::int64_t i = 0; i < walk.inner_size(); ++i)
        out[at + i] = choice[from[0] + i * walk.inner_stride(0)] ? yes[from[1] + i * walk.inner_stride(1)]
                                                                 : no[from[2] + i * walk.inner_stride(2)];
    });
  };
}

}  // namespace

RunFunction plan_where(NodePlanner& node) {
  switch (node.dtype(1)) {
    case DType::kFloat32:
      return plan_choice<float>(node);
    case DType::kInt64:
      return plan_choice<std::int64_t>(node);
    default:
      return plan_choice<std::uint8_t>(node);
  }
}

}  // namespace halfbyte::ops
