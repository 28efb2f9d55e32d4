// Integer-only models: from features to codes and from codes to numbers (the only operators of that mode that
// compute in float), and the exact products between.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "error.h"
#include "graph/ops.h"
#include "kernels/packing.h"

namespace halfbyte::ops {
namespace {

constexpr std::int64_t kTaps = 3, kStep = 2;  // of the subsampling convolutions, in both directions

template <class Code>
RunFunction dequantizing(std::int64_t count) {
  return [count](const Operands& operands) {
    const float scale = *operands.in<float>(1);
    for (std::int64_t i = 0; i < count; ++i)
      operands.out<float>(0)[i] = static_cast<float>(operands.in<Code>(0)[i]) * scale;
  };
}

// Codes of x beside each other as the kernels read them: rows padded with zeros.
void pad_rows(const std::int8_t* x, const CodeRows& rows) {
  for (std::int64_t row = 0; row < rows.rows; ++row) {
    std::memcpy(rows.codes + row * rows.stride, x + row * rows.k, static_cast<std::size_t>(rows.k));
    std::memset(rows.codes + row * rows.stride + rows.k, 0,
                static_cast<std::size_t>(rows.stride - rows.k));
  }
}

// Unsigned, for a file may hold any bias: the sum wraps rather than overflows.
void add_bias(const std::uint32_t* bias, std::int64_t n, std::uint32_t* sums) {
  for (std::int64_t i = 0; i < n; ++i) sums[i] += bias[i];
}

}  // namespace

// code = clip(rint((x - mean[f]) * factor[f]), -127, 127)
RunFunction plan_quantize_features(NodePlanner& node) {
  const Shape& x = node.shape(0);
  if (x.rank() < 1) node.fail("expected x (..., F)");
  const std::int64_t f = x[x.rank() - 1];
  if (node.shape(1) != Shape{f} || node.shape(2) != Shape{f})
    node.fail("mean and factor must have one value per bin");
  node.set_output(0, x);
  return [rows = x.product(0, x.rank() - 1), f](const Operands& operands) {
    const auto *x = operands.in<float>(0), *mean = operands.in<float>(1), *factor = operands.in<float>(2);
    for (std::int64_t at = 0; at < rows * f; ++at) {
      const float scaled = (x[at] - mean[at % f]) * factor[at % f];
      if (!std::isfinite(scaled))
        throw Error(ErrorKind::kInput, "features hold NaN or infinity; they must be finite, check the samples");
      operands.out<std::int8_t>(0)[at] =
          static_cast<std::int8_t>(std::clamp(std::nearbyintf(scaled), -127.0f, 127.0f));
    }
  };
}

// y = float(code) * scale; codes int8 or int16, one scale.
RunFunction plan_dequantize(NodePlanner& node) {
  if (node.shape(1).num_elements() != 1) node.fail("expected one scale");
  node.set_output(0, node.shape(0));
  const std::int64_t count = node.shape(0).num_elements();
  if (node.dtype(0) == DType::kInt8) return dequantizing<std::int8_t>(count);
  if (node.dtype(0) == DType::kInt16) return dequantizing<std::int16_t>(count);
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

// acc[n] = bias[n] + sum over k of x[k] * code[n][k], exact in int32.
RunFunction plan_int_linear(NodePlanner& node, int bits) {
  const std::int64_t n = node.shape(1)[0], k = node.shape(1)[1];
  Shape shape = node.shape(0);
  const int last = shape.rank() - 1;
  if (packed_bits(node.dtype(1)) != bits) node.fail("its codes have another width");
  if (last < 0 || shape[last] != k || k == 0)
    node.fail("the last axis has not the size of the weights' inputs");
  if (node.shape(2) != Shape{n}) node.fail("the bias must have one value per output");
  if (k > largest_k(bits, 8) / 2) node.fail("so many inputs and a bias could overflow int32");
  shape[last] = n;
  node.set_output(0, shape);
  const std::int64_t rows = shape.product(0, last), stride = padded_codes(k);
  node.need_scratch(static_cast<std::size_t>(rows * stride));
  return [=, linear = find_linear(node.kernels(), bits, 8)](const Operands& operands) {
    const CodeRows codes{rows, k, static_cast<std::int8_t*>(operands.scratch), stride, nullptr};
    pad_rows(operands.in<std::int8_t>(0), codes);
    Epilogue epilogue{nullptr, nullptr, nullptr, n};
    epilogue.sums = operands.out<std::int32_t>(0);
    linear({codes, operands.in<std::uint8_t>(1), n}, epilogue);
    for (std::int64_t row = 0; row < rows; ++row)
      add_bias(operands.in<std::uint32_t>(2), n, operands.out<std::uint32_t>(0) + row * n);
  };
}

RunFunction plan_int_depthwise(NodePlanner& node) {
  const Shape &x = node.shape(0), &weight = node.shape(1);
  if (x.rank() != 3 || weight.rank() != 2 || weight[1] != x[2] || node.shape(2) != Shape{x[2]})
    node.fail("expected x (B, T, D), weight (taps, D) and bias (D)");
  const std::int64_t taps = weight[0], d = x[2], frames = x[1] - taps + 1;
  if (frames < 1 || taps < 1 || taps > 32768) node.fail("there are fewer frames than taps, or too many");
  node.set_output(0, {x[0], frames, d});
  return [=, batch = x[0], in_frames = x[1],
          kernel = node.kernels().integer_only.depthwise](const Operands& operands) {
    for (std::int64_t b = 0; b < batch; ++b)
      kernel({frames, taps, d, operands.in<std::int8_t>(0) + b * in_frames * d,
              operands.in<std::int8_t>(1), operands.in<std::int32_t>(2),
              operands.out<std::int32_t>(0) + b * frames * d});
  };
}

}  // namespace halfbyte::ops
