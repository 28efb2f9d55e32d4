#include "ops/shared/reduce.h"

namespace halfbyte::ops {

static RunFunction plan(NodePlanner& node) {
  return plan_reduce<float>(
      node, 0.0f, [](float a, float b) { return a + b; },
      [](float sum, std::int64_t count) { return sum / static_cast<float>(count); }, false);
}

extern const OpDefinition op_reduce_mean{"ReduceMean", "f>f", plan};

}  // namespace halfbyte::ops
