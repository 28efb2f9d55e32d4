#include "ops/shared/angle.h"

namespace halfbyte::ops {

static RunFunction plan(NodePlanner& node) { return plan_angle(node, cos_of_turn); }

extern const OpDefinition op_cos{"Cos", "f>f", plan};

}  // namespace halfbyte::ops
