// As Linear (linear.cc), with one scale and zero point for all of x; docs/integer-spec.md, "StaticLinear".
#include "graph/operator.h"
#include "ops/shared/quantized_linear.h"

namespace halfbyte::ops {

static RunFunction plan(NodePlanner& node) {
  constexpr int kResidual = 6;
  const auto code = [&](const char* name) {
    const std::int64_t value = node.attribute(name);
    if (value < -128 || value > 127) node.fail(std::string(name) + " must be -128 to 127");
    return static_cast<std::int32_t>(value);
  };
  const StaticScale codes{1.0f, code("zero_point"), code("low"), code("high")};
  return plan_quantized_linear(node, QuantizedLinear(node, codes), kResidual);
}

extern const OpDefinition op_static_linear{"StaticLinear", "fpffwff?>f", plan};

}  // namespace halfbyte::ops
