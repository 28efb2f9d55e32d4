// To the type that the attribute `to` numbers as the model file does.
#include <limits>
#include <type_traits>

#include "ops/shared/unary.h"
#include "ops/shared/view.h"

namespace halfbyte::ops {

// float32 -> int64 towards zero; what does not fit becomes the nearest that does, NaN becomes 0.
static std::int64_t integer_of(float x) {
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

static RunFunction plan(NodePlanner& node) {
  if (node.dtype(0) == node.output_dtype()) return plan_view(node, node.shape(0));
  switch (node.dtype(0)) {
    case DType::kFloat32:
      return plan_cast_from<float>(node);
    case DType::kInt64:
      return plan_cast_from<std::int64_t>(node);
    default:
      return plan_cast_from<std::uint8_t>(node);
  }
}

extern const OpDefinition op_cast{"Cast", "T>@", plan};

}  // namespace halfbyte::ops
