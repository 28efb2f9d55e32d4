// code = clip(rint((x - mean[f]) * factor[f]), -127, 127)
#include "error.h"
#include "graph/operator.h"

namespace halfbyte::ops {

static RunFunction plan(NodePlanner& node) {
  const Shape& x = node.shape(0);
  if (x.rank() < 1) node.fail("expected x (..., F)");
  const std::int64_t f = x[x.rank() - 1];
  if (node.shape(1) != Shape{f} || node.shape(2) != Shape{f})
    node.fail("mean and factor must have one value per bin");
  node.set_output(0, x);
  const FeatureCodes codes{x.product(0, x.rank() - 1), f, nullptr, nullptr, nullptr, nullptr};
  return [codes, kernel = node.kernels().integer_only.feature_codes](const Operands& operands) {
    FeatureCodes op = codes;
    op.x = operands.in<float>(0), op.mean = operands.in<float>(1), op.factor = operands.in<float>(2);
    op.out = operands.out<std::int8_t>(0);
    if (!kernel(op))
      throw Error(ErrorKind::kInput, "features hold NaN or infinity; they must be finite, check the samples");
  };
}

extern const OpDefinition op_quantize_features{"QuantizeFeatures", "fff>c", plan,
                                               OpDefinition::Role::kToCodes};

}  // namespace halfbyte::ops
