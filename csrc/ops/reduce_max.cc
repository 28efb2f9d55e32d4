#include "ops/shared/reduce.h"

namespace halfbyte::ops {

static RunFunction plan(NodePlanner& node) {
  return plan_extreme(node, -__builtin_inff(), INT64_MIN, [](auto a, auto b) { return a > b; });
}

extern const OpDefinition op_reduce_max{"ReduceMax", "N>N", plan};

}  // namespace halfbyte::ops
