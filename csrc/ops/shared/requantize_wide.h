#pragma once
#include "ops/shared/integer_rows.h"

namespace halfbyte::ops {

inline RunFunction plan_requantize_wide(NodePlanner& node) {
  constexpr int kResidual = 2;
  const Rescale rescale = rescale_of(node);
  const bool has_residual = node.has(kResidual);
  if (has_residual && node.shape(kResidual) != node.shape(0))
    node.fail("the residual must have the shape of the result");
  if (has_residual) node.allow_in_place(kResidual);
  return [=, kernel = node.kernels().integer_only.rescale_i16](const Operands& operands) {
    Rescale op = rescale;
    op.acc = operands.in<std::int32_t>(0);
    op.multipliers = operands.in<std::int32_t>(1);
    kernel(op, has_residual ? operands.in<std::int16_t>(kResidual) : nullptr, operands.out<std::int16_t>(0));
  };
}

}  // namespace halfbyte::ops
