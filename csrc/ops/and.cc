#include "ops/shared/binary.h"

namespace halfbyte::ops {

static RunFunction plan(NodePlanner& node) {
  return plan_comparison(node, [](auto a, auto b) { return std::uint8_t(a != 0 && b != 0); });
}

extern const OpDefinition op_and{"And", "bb>b", plan};

}  // namespace halfbyte::ops
