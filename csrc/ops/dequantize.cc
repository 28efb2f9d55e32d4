// y = float(code) * scale; codes int8 or int16, one scale.
#include "graph/operator.h"

namespace halfbyte::ops {

static RunFunction plan(NodePlanner& node) {
  if (node.shape(1).num_elements() != 1) node.fail("expected one scale");
  node.set_output(0, node.shape(0));
  const std::int64_t count = node.shape(0).num_elements();
  const IntegerOnly& kernels = node.kernels().integer_only;
  if (node.dtype(0) == DType::kInt8)
    return [count, kernel = kernels.numbers_i8](const Operands& operands) {
      kernel(operands.in<std::int8_t>(0), *operands.in<float>(1), count, operands.out<float>(0));
    };
  if (node.dtype(0) == DType::kInt16)
    return [count, kernel = kernels.numbers_i16](const Operands& operands) {
      kernel(operands.in<std::int16_t>(0), *operands.in<float>(1), count, operands.out<float>(0));
    };
  node.fail("it takes int8 and int16");
}

extern const OpDefinition op_dequantize{"Dequantize", "Af>f", plan, OpDefinition::Role::kFromCodes};

}  // namespace halfbyte::ops
