#include <cmath>
#include <cstring>
#include <limits>

#include "graph/ops.h"
#include "specified_math.h"

namespace halfbyte::ops {
namespace {

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

RunFunction plan_kernel(NodePlanner& node, UnaryOp kernel) {
  const Shape shape = node.shape(0);
  node.set_output(0, shape);
  node.allow_in_place(0);
  return [kernel, count = shape.num_elements()](const Operands& operands) {
    kernel(operands.in<float>(0), count, operands.out<float>(0));
  };
}

// Radians -> turns in units of 2^-40, for the sine and cosine that are the same on every machine.
constexpr std::int64_t kTurn = std::int64_t{1} << 40;
constexpr double kUnitsPerRadian = kTurn / 6.283185307179586476925286766559;

template <class Function>
RunFunction plan_angle(NodePlanner& node, Function of_turn) {
  return plan_elements<float, float>(node, [of_turn](float radians) {
    // Farther than this, neighbouring floats are turns apart.
    if (!(std::fabs(radians) < 0x1p20f)) return std::numeric_limits<float>::quiet_NaN();
    return static_cast<float>(of_turn(std::llrint(radians * kUnitsPerRadian), kTurn));
  });
}

// float32 -> int64 towards zero; what does not fit becomes the nearest that does, NaN becomes 0.
std::int64_t integer_of(float x) {
  if (x != x) return 0;
  if (x >= 0x1p63f) return std::numeric_limits<std::int64_t>::max();
  if (x < -0x1p63f) return std::numeric_limits<std::int64_t>::min();
  return static_cast<std::int64_t>(x);
}

template <class In>
RunFunction plan_cast_from(NodePlanner& node) {
  switch (node.output_dtype()) {
    case DType::kFloat32:
      return plan_elements<In, float>(node, [](In x) { return static_cast<float>(x); });
    case DType::kInt64:
      return plan_elements<In, std::int64_t>(node, [](In x) {
        if constexpr (std::is_same_v<In, float>)
          return integer_of(x);
        else
          return static_cast<std::int64_t>(x);
      });
    default:
      return plan_elements<In, std::uint8_t>(node, [](In x) { return std::uint8_t(x != 0); });
  }
}

}  // namespace

RunFunction plan_neg(NodePlanner& node) {
  if (node.dtype(0) == DType::kFloat32) return plan_elements<float, float>(node, [](float x) { return -x; });
  return plan_elements<std::uint64_t, std::uint64_t>(node, [](std::uint64_t x) { return -x; });
}
RunFunction plan_abs(NodePlanner& node) {
  if (node.dtype(0) == DType::kFloat32)
    return plan_elements<float, float>(node, [](float x) { return std::fabs(x); });
  return plan_elements<std::int64_t, std::uint64_t>(node, [](std::int64_t x) {
    return x < 0 ? -static_cast<std::uint64_t>(x) : static_cast<std::uint64_t>(x);
  });
}
RunFunction plan_sqrt(NodePlanner& node) {
  return plan_elements<float, float>(node, [](float x) { return std::sqrt(x); });
}
RunFunction plan_sin(NodePlanner& node) { return plan_angle(node, sin_of_turn); }
RunFunction plan_cos(NodePlanner& node) { return plan_angle(node, cos_of_turn); }
RunFunction plan_floor(NodePlanner& node) {
  return plan_elements<float, float>(node, [](float x) { return std::floor(x); });
}
RunFunction plan_ceil(NodePlanner& node) {
  return plan_elements<float, float>(node, [](float x) { return std::ceil(x); });
}
RunFunction plan_not(NodePlanner& node) {
  return plan_elements<std::uint8_t, std::uint8_t>(node, [](std::uint8_t x) { return std::uint8_t(!x); });
}
RunFunction plan_cast(NodePlanner& node) {
  if (node.dtype(0) == node.output_dtype()) return plan_identity(node);
  switch (node.dtype(0)) {
    case DType::kFloat32:
      return plan_cast_from<float>(node);
    case DType::kInt64:
      return plan_cast_from<std::int64_t>(node);
    default:
      return plan_cast_from<std::uint8_t>(node);
  }
}
RunFunction plan_exp(NodePlanner& node) { return plan_kernel(node, node.kernels().exp); }
RunFunction plan_log(NodePlanner& node) { return plan_kernel(node, node.kernels().log); }
RunFunction plan_sigmoid(NodePlanner& node) { return plan_kernel(node, node.kernels().sigmoid); }
RunFunction plan_silu(NodePlanner& node) { return plan_kernel(node, node.kernels().silu); }
RunFunction plan_tanh(NodePlanner& node) { return plan_kernel(node, node.kernels().tanh); }
RunFunction plan_relu(NodePlanner& node) { return plan_kernel(node, node.kernels().relu); }

}  // namespace halfbyte::ops
