// IntLinear, Requantize and, where there is a table, IntTable.
#include "ops/shared/integer_product.h"
#include "ops/shared/integer_rows.h"

namespace halfbyte::ops {

static RunFunction plan(NodePlanner& node) {
  const IntegerProduct product(node);
  IntegerEpilogue epilogue = epilogue_of(node, product);
  epilogue.low = low_attribute(node);
  const bool has_table = node.has(kTable);
  if (has_table && node.shape(kTable) != Shape{kTableSize}) node.fail("the table must have 256 entries");
  return [=](const Operands& operands) {
    IntegerEpilogue integer = epilogue;
    integer.codes = operands.out<std::int8_t>(0);
    if (has_table) integer.table = operands.in<std::int8_t>(kTable);
    run_fused(product, operands, integer);
  };
}

extern const OpDefinition op_int_linear_codes{"IntLinearCodes", "cpwwc?>c", plan};

}  // namespace halfbyte::ops
