#include <cmath>

#include "ops/shared/binary.h"

namespace halfbyte::ops {

// a^b for a >= 0 as exp(b * log(a)), both of the engine; whole exponents up to 64 by products.
static float power(const Kernels& kernels, float a, float b) {
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

static std::int64_t integer_power(std::int64_t a, std::int64_t b) {
  if (b < 0) return a == 1 ? 1 : a == -1 ? (b % 2 == 0 ? 1 : -1) : 0;
  std::uint64_t product = 1, square = static_cast<std::uint64_t>(a);
  for (; b > 0; b >>= 1, square *= square)
    if (b & 1) product *= square;
  return static_cast<std::int64_t>(product);
}

static RunFunction plan(NodePlanner& node) {
  if (node.dtype(0) == DType::kInt64) return plan_pairs<std::int64_t, std::int64_t>(node, integer_power);
  const Kernels* kernels = &node.kernels();
  return plan_pairs<float, float>(node, [kernels](float a, float b) { return power(*kernels, a, b); });
}

extern const OpDefinition op_pow{"Pow", "NN>N", plan};

}  // namespace halfbyte::ops
