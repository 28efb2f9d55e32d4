// Of two tensors; the compile step makes a chain of more.
#include "ops/shared/binary.h"

namespace halfbyte::ops {

static RunFunction plan(NodePlanner& node) {
  return plan_numeric(node, [](auto a, auto b) { return a < b || a != a ? a : b; });
}

extern const OpDefinition op_min{"Min", "NN>N", plan};

}  // namespace halfbyte::ops
