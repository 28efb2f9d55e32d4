#include "ops/shared/unary.h"

namespace halfbyte::ops {

static RunFunction plan(NodePlanner& node) {
  return plan_elements<std::uint8_t, std::uint8_t>(node, [](std::uint8_t x) { return std::uint8_t(!x); });
}

extern const OpDefinition op_not{"Not", "b>b", plan};

}  // namespace halfbyte::ops
