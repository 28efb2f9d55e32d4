// Integer-only models: what happens to sums and codes, row by row.
#include <string>

#include "graph/integer_attributes.h"
#include "graph/ops.h"

namespace halfbyte::ops {
namespace {

constexpr std::int64_t kTableSize = 256;  // one entry for each int8, -128 first
constexpr int kNormTable = 3;             // input of a layer norm with an activation

// Size of the last axis, of which inputs 1.. (as many as `per_column`) have one value a column.
std::int64_t columns_of(NodePlanner& node, int per_column) {
  const Shape& x = node.shape(0);
  if (x.rank() < 1) node.fail("it has no last axis");
  const std::int64_t columns = x[x.rank() - 1];
  for (int input = 1; input <= per_column; ++input)
    if (node.shape(input) != Shape{columns})
      node.fail("input " + std::to_string(input) + " must have one value per column");
  return columns;
}

Rescale rescale_of(NodePlanner& node) {
  const std::int64_t n = columns_of(node, 1);
  const std::int64_t rows = n == 0 ? 0 : node.shape(0).num_elements() / n;
  node.set_output(0, node.shape(0));
  return {rows, n, nullptr, nullptr, shift_attribute(node, "divisor")};
}

IntegerLayerNorm layer_norm_of(NodePlanner& node) {
  const std::int64_t d = columns_of(node, 2);
  if (d < 1 || d > 32768) node.fail("the last axis has not 1 to 32768 elements");
  const std::int64_t epsilon = node.attribute("epsilon");
  if (epsilon < 1 || epsilon > std::int64_t{1} << 60) node.fail("epsilon is not in 1..2^60");
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

}  // namespace

RunFunction plan_requantize(NodePlanner& node) {
  const Rescale rescale = rescale_of(node);
  return [rescale, low = low_attribute(node),
          kernel = node.kernels().integer_only.rescale_i8](const Operands& operands) {
    Rescale op = rescale;
    op.acc = operands.in<std::int32_t>(0);
    op.multipliers = operands.in<std::int32_t>(1);
    kernel(op, low, operands.out<std::int8_t>(0));
  };
}

RunFunction plan_requantize_wide(NodePlanner& node) {
  constexpr int kResidual = 2;
  const Rescale rescale = rescale_of(node);
  const bool has_residual = node.has(kResidual);
  if (has_residual && node.shape(kResidual) != node.shape(0)) node.fail("the residual has another shape");
  if (has_residual) node.allow_in_place(kResidual);
  return [=, kernel = node.kernels().integer_only.rescale_i16](const Operands& operands) {
    Rescale op = rescale;
    op.acc = operands.in<std::int32_t>(0);
    op.multipliers = operands.in<std::int32_t>(1);
    kernel(op, has_residual ? operands.in<std::int16_t>(kResidual) : nullptr, operands.out<std::int16_t>(0));
  };
}

// y = table[x + 128]
RunFunction plan_int_table(NodePlanner& node) {
  if (node.shape(1) != Shape{kTableSize}) node.fail("the table has not 256 entries");
  node.set_output(0, node.shape(0));
  node.allow_in_place(0);
  return [count = node.shape(0).num_elements(),
          kernel = node.kernels().integer_only.table](const Operands& operands) {
    kernel(operands.in<std::int8_t>(0), count, operands.in<std::int8_t>(1), operands.out<std::int8_t>(0));
  };
}

RunFunction plan_int_glu(NodePlanner& node) {
  Shape shape = node.shape(0);
  const std::int64_t columns = columns_of(node, 0);
  if (columns % 2 != 0) node.fail("the last axis has no halves");
  if (node.shape(1) != Shape{kTableSize}) node.fail("the table has not 256 entries");
  shape[shape.rank() - 1] = columns / 2;
  node.set_output(0, shape);
  const std::int64_t rows = shape.product(0, shape.rank() - 1);
  const IntegerGlu glu{rows,
                       columns / 2,
                       nullptr,
                       nullptr,
                       multiplier_attribute(node, "multiplier"),
                       shift_attribute(node, "divisor"),
                       nullptr};
  return [glu, kernel = node.kernels().integer_only.glu](const Operands& operands) {
    IntegerGlu op = glu;
    op.x = operands.in<std::int8_t>(0);
    op.gates = operands.in<std::int16_t>(1);
    op.out = operands.out<std::int8_t>(0);
    kernel(op);
  };
}

RunFunction plan_int_layer_norm(NodePlanner& node) {
  const bool has_table = node.has(kNormTable);
  if (has_table && node.shape(kNormTable) != Shape{kTableSize}) node.fail("the table has not 256 entries");
  return normalising(layer_norm_of(node), has_table, node.kernels().integer_only.layer_norm_i8);
}

RunFunction plan_int_layer_norm_wide(NodePlanner& node) {
  return normalising(layer_norm_of(node), false, node.kernels().integer_only.layer_norm_i16);
}

}  // namespace halfbyte::ops
