#include "ops/shared/integer_rows.h"

namespace halfbyte::ops {

static RunFunction plan(NodePlanner& node) {
  const Rescale rescale = rescale_of(node);
  return [rescale, low = low_attribute(node),
          kernel = node.kernels().integer_only.rescale_i8](const Operands& operands) {
    Rescale op = rescale;
    op.acc = operands.in<std::int32_t>(0);
    op.multipliers = operands.in<std::int32_t>(1);
    kernel(op, low, operands.out<std::int8_t>(0));
  };
}

extern const OpDefinition op_requantize{"Requantize", "ww>c", plan};

}  // namespace halfbyte::ops
