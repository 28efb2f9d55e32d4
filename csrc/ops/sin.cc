#include "ops/shared/angle.h"

namespace halfbyte::ops {

static RunFunction plan(NodePlanner& node) { return plan_angle(node, sin_of_turn); }

extern const OpDefinition op_sin{"Sin", "f>f", plan};

}  // namespace halfbyte::ops
