#include "ops/shared/binary.h"

namespace halfbyte::ops {

static RunFunction plan(NodePlanner& node) {
  return plan_comparison(node, [](auto a, auto b) { return std::uint8_t(a <= b); });
}

extern const OpDefinition op_less_or_equal{"LessOrEqual", "NN>b", plan};

}  // namespace halfbyte::ops
