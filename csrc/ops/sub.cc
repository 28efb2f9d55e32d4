#include "ops/shared/binary.h"

namespace halfbyte::ops {

static RunFunction plan(NodePlanner& node) {
  return plan_numeric(node, wrapping([](auto a, auto b) { return a - b; }));
}

extern const OpDefinition op_sub{"Sub", "NN>N", plan};

}  // namespace halfbyte::ops
