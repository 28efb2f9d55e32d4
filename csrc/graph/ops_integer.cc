// Integer-only models: from features to codes and from codes to numbers (the only operators of that mode that
// compute in float), patches, and convolution over time.
#include <algorithm>
#include <cstring>

#include "error.h"
#include "graph/integer_attributes.h"
#include "graph/ops.h"

namespace halfbyte::ops {
namespace {

constexpr std::int64_t kTaps = 3, kStep = 2;  // of the subsampling convolutions, in both directions

}  // namespace

// code = clip(rint((x - mean[f]) * factor[f]), -127, 127)
RunFunction plan_quantize_features(NodePlanner& node) {
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

// y = float(code) * scale; codes int8 or int16, one scale.
RunFunction plan_dequantize(NodePlanner& node) {
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

// x (B, T, F, C) -> (B, (T - 1) / 2, (F - 1) / 2, 9 C): patches of 3 x 3 in steps of 2; time, bin, channel.
RunFunction plan_int_patches(NodePlanner& node) {
  const Shape& x = node.shape(0);
  if (x.rank() != 4) node.fail("expected x (B, T, F, channels)");
  const std::int64_t rows = std::max<std::int64_t>(0, (x[1] - 1) / kStep);
  const std::int64_t columns = std::max<std::int64_t>(0, (x[2] - 1) / kStep);
  const std::int64_t run = kTaps * x[3], row_stride = x[2] * x[3];
  node.set_output(0, {x[0], rows, columns, kTaps * run});
  return [=, batch = x[0], batch_stride = x[1] * row_stride, channels = x[3]](const Operands& operands) {
    auto* out = operands.out<std::int8_t>(0);
    for (std::int64_t at = 0; at < batch * rows * columns; ++at) {
      const std::int64_t column = at % columns, row = at / columns % rows;
      const std::int8_t* start = operands.in<std::int8_t>(0) + at / (columns * rows) * batch_stride +
                                 kStep * row * row_stride + kStep * column * channels;
      for (std::int64_t tap = 0; tap < kTaps; ++tap, out += run)
        std::memcpy(out, start + tap * row_stride, static_cast<std::size_t>(run));
    }
  };
}

namespace {

struct DepthwisePlan {
  IntegerDepthwise op;
  std::int64_t batch, in_frames;

  IntegerDepthwise of(const Operands& operands, std::int64_t b) const {
    IntegerDepthwise one = op;
    one.x = operands.in<std::int8_t>(0) + b * in_frames * op.d;
    one.weight = operands.in<std::int8_t>(1);
    one.bias = operands.in<std::int32_t>(2);
    return one;
  }
};

DepthwisePlan depthwise_of(NodePlanner& node) {
  const Shape &x = node.shape(0), &weight = node.shape(1);
  if (x.rank() != 3 || weight.rank() != 2 || weight[1] != x[2] || node.shape(2) != Shape{x[2]})
    node.fail("expected x (B, T, D), weight (taps, D) and bias (D)");
  const std::int64_t taps = weight[0], d = x[2], frames = x[1] - taps + 1;
  if (frames < 1 || taps < 1 || taps > 32768) node.fail("there are fewer frames than taps, or too many");
  node.set_output(0, {x[0], frames, d});
  return {{frames, taps, d, nullptr, nullptr, nullptr}, x[0], x[1]};
}

}  // namespace

RunFunction plan_int_depthwise(NodePlanner& node) {
  return
      [plan = depthwise_of(node), kernel = node.kernels().integer_only.depthwise](const Operands& operands) {
        for (std::int64_t b = 0; b < plan.batch; ++b)
          kernel(plan.of(operands, b), operands.out<std::int32_t>(0) + b * plan.op.frames * plan.op.d);
      };
}

RunFunction plan_int_depthwise_wide(NodePlanner& node) {
  constexpr int kMultipliers = 3;
  const DepthwisePlan plan = depthwise_of(node);
  if (node.shape(kMultipliers) != Shape{plan.op.d}) node.fail("there must be one multiplier per column");
  return [plan, shift = shift_attribute(node, "divisor"),
          kernel = node.kernels().integer_only.depthwise_i16](const Operands& operands) {
    for (std::int64_t b = 0; b < plan.batch; ++b)
      kernel(plan.of(operands, b), operands.in<std::int32_t>(kMultipliers), shift,
             operands.out<std::int16_t>(0) + b * plan.op.frames * plan.op.d);
  };
}

}  // namespace halfbyte::ops
