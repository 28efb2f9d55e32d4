#include "ops/shared/integer_product.h"

namespace halfbyte::ops {

// Unsigned, for a file may hold any bias: the sum wraps rather than overflows.
static void add_bias(const std::uint32_t* bias, std::int64_t n, std::uint32_t* sums) {
  for (std::int64_t i = 0; i < n; ++i) sums[i] += bias[i];
}

static RunFunction plan(NodePlanner& node) {
  const IntegerProduct product(node);
  return [product](const Operands& operands) {
    Epilogue epilogue{nullptr, nullptr, nullptr, product.num_outputs()};
    epilogue.sums = operands.out<std::int32_t>(0);
    product.run(operands, epilogue);
    for (std::int64_t row = 0; row < product.rows(); ++row)
      add_bias(operands.in<std::uint32_t>(kBias), product.num_outputs(),
               operands.out<std::uint32_t>(0) + row * product.num_outputs());
  };
}

extern const OpDefinition op_int_linear{"IntLinear", "cpw>w", plan};

}  // namespace halfbyte::ops
