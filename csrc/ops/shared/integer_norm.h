#pragma once
#include "ops/shared/integer_rows.h"

namespace halfbyte::ops {

constexpr int kNormTable = 3;  // input of a layer norm with an activation

inline IntegerLayerNorm layer_norm_of(NodePlanner& node) {
  const std::int64_t d = columns_of(node, 2);
  if (d < 1 || d > 32768) node.fail("the last axis must have 1 to 32768 elements");
  const std::int64_t epsilon = node.attribute("epsilon");
  if (epsilon < 1 || epsilon > std::int64_t{1} << 60) node.fail("epsilon must be 1 to 2^60");
  node.set_output(0, node.shape(0));
  const int shift = shift_attribute(node, "divisor");
  return {node.shape(0).num_elements() / d, d, nullptr, nullptr, nullptr, epsilon, shift};
}

template <class Out>
RunFunction normalising(const IntegerLayerNorm& norm, bool has_table,
                        void (*kernel)(const IntegerLayerNorm&, Out*)) {
  return [norm, has_table, kernel](const Operands& operands) {
    IntegerLayerNorm op = norm;
    if (has_table) op.table = operands.in<std::int8_t>(kNormTable);
    op.x = operands.in<std::int16_t>(0);
    op.weight = operands.in<std::int32_t>(1);
    op.bias = operands.in<std::int64_t>(2);
    kernel(op, operands.out<Out>(0));
  };
}

}  // namespace halfbyte::ops
