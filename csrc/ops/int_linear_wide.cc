// IntLinear and RequantizeWide or RequantizeAdd.
#include "ops/shared/integer_product.h"

namespace halfbyte::ops {

static RunFunction plan(NodePlanner& node) {
  const IntegerProduct product(node);
  const IntegerEpilogue epilogue = epilogue_of(node, product);
  const bool has_residual = node.has(kResidual);
  if (has_residual && node.shape(kResidual) != node.outputs()[0].value.shape)
    node.fail("the residual must have the shape of the result");
  if (has_residual) node.allow_in_place(kResidual);
  return [=](const Operands& operands) {
    IntegerEpilogue integer = epilogue;
    integer.wide = operands.out<std::int16_t>(0);
    if (has_residual) integer.residual = operands.in<std::int16_t>(kResidual);
    run_fused(product, operands, integer);
  };
}

extern const OpDefinition op_int_linear_wide{"IntLinearWide", "cpwws?>s", plan};

}  // namespace halfbyte::ops
