// y = table[x + 128]
#include "ops/shared/integer_rows.h"

namespace halfbyte::ops {

static RunFunction plan(NodePlanner& node) {
  if (node.shape(1) != Shape{kTableSize}) node.fail("the table must have 256 entries");
  node.set_output(0, node.shape(0));
  node.allow_in_place(0);
  return [count = node.shape(0).num_elements(),
          kernel = node.kernels().integer_only.table](const Operands& operands) {
    kernel(operands.in<std::int8_t>(0), count, operands.in<std::int8_t>(1), operands.out<std::int8_t>(0));
  };
}

extern const OpDefinition op_int_table{"IntTable", "cc>c", plan};

}  // namespace halfbyte::ops
