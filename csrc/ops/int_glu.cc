#include "ops/shared/integer_rows.h"

namespace halfbyte::ops {

static RunFunction plan(NodePlanner& node) {
  Shape shape = node.shape(0);
  const std::int64_t columns = columns_of(node, 0);
  if (columns % 2 != 0) node.fail("the last axis must have an even size");
  if (node.shape(1) != Shape{kTableSize}) node.fail("the table must have 256 entries");
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

extern const OpDefinition op_int_glu{"IntGlu", "cs>c", plan};

}  // namespace halfbyte::ops
