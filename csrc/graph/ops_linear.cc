#include <algorithm>

#include "graph/broadcast.h"
#include "graph/ops.h"
#include "kernels/packing.h"

namespace halfbyte::ops {
namespace {

constexpr std::size_t kAlignmentBytes = 64;

std::size_t aligned(std::size_t num_bytes) {
  return (num_bytes + kAlignmentBytes - 1) / kAlignmentBytes * kAlignmentBytes;
}

// (..., K) times N outputs: sets the output's shape (..., N) and returns the number of rows.
std::int64_t plan_linear_shape(NodePlanner& node, std::int64_t n, std::int64_t k) {
  Shape shape = node.shape(0);
  const int last = shape.rank() - 1;
  if (last < 0 || shape[last] != k) node.fail("the last axis has not the size of the weights' inputs");
  shape[last] = n;
  node.set_output(0, shape);
  return shape.product(0, last);
}

RunFunction plan_linear(NodePlanner& node, int weight_bits, int act_bits) {
  const std::int64_t n = node.shape(1)[0], k = node.shape(1)[1];
  if (node.shape(2) != Shape{n} || node.shape(3) != Shape{n})
    node.fail("scales and bias must have one value per output");
  if (k == 0) node.fail("the weights have no inputs");
  if (k > largest_k(weight_bits, act_bits)) node.fail("so many inputs could overflow int32");
  const std::int64_t rows = plan_linear_shape(node, n, k);
  const std::size_t codes_bytes = aligned(static_cast<std::size_t>(rows * padded_codes(k)));
  node.need_scratch(codes_bytes + static_cast<std::size_t>(rows) * sizeof(float));
  const Kernels* kernels = &node.kernels();
  const LinearKernel linear = find_linear(*kernels, weight_bits, act_bits);
  return [=](const Operands& operands) {
    auto* scratch = static_cast<unsigned char*>(operands.scratch);
    const CodeRows codes{rows, k, reinterpret_cast<std::int8_t*>(scratch), padded_codes(k),
                         reinterpret_cast<float*>(scratch + codes_bytes)};
    quantize_rows(*kernels, operands.in<float>(0), k, act_bits == 8 ? 127 : 7, codes);
    linear({codes, operands.in<std::uint8_t>(1), n},
           {operands.in<float>(2), operands.in<float>(3), operands.out<float>(0), n});
  };
}

RunFunction plan_embedding(NodePlanner& node, int bits) {
  const std::int64_t v = node.shape(1)[0], d = node.shape(1)[1];
  if (node.shape(2) != Shape{v}) node.fail("scales must have one value per row");
  Shape shape = node.shape(0);
  shape.push_back(d);
  node.set_output(0, shape);
  return [=, count = node.shape(0).num_elements()](const Operands& operands) {
    const EmbeddingTable table{bits, v, d, operands.in<std::uint8_t>(1), operands.in<float>(2)};
    embedding(table, operands.in<std::int64_t>(0), count, operands.out<float>(0));
  };
}

// Operands of a product as at least matrices: a row for a vector on the left, a column on the right.
struct Product {
  Shape a, b;        // with matrix axes
  GemmF32 matrices;  // of one batch entry, pointers unset
};

Product product_of(NodePlanner& node) {
  Product product{node.shape(0), node.shape(1), {}};
  if (product.a.rank() == 0 || product.b.rank() == 0) node.fail("a scalar is no matrix");
  if (product.a.rank() == 1) product.a = {1, product.a[0]};
  if (product.b.rank() == 1) product.b = {product.b[0], 1};
  GemmF32& gemm = product.matrices;
  gemm.m = product.a[product.a.rank() - 2];
  gemm.k = product.a[product.a.rank() - 1];
  gemm.n = product.b[product.b.rank() - 1];
  if (product.b[product.b.rank() - 2] != gemm.k) node.fail("the inner sizes differ");
  gemm.a_row_stride = gemm.k;
  gemm.a_col_stride = gemm.b_col_stride = 1;
  gemm.b_row_stride = gemm.out_stride = gemm.n;
  return product;
}

Shape without_matrix_axes(const Shape& shape) {
  Shape batch;
  for (int axis = 0; axis + 2 < shape.rank(); ++axis) batch.push_back(shape[axis]);
  return batch;
}

}  // namespace

RunFunction plan_linear_w4a8(NodePlanner& node) {
  return plan_linear(node, 4, 8);
}
RunFunction plan_linear_w8a8(NodePlanner& node) {
  return plan_linear(node, 8, 8);
}
RunFunction plan_linear_w4a4(NodePlanner& node) {
  return plan_linear(node, 4, 4);
}
RunFunction plan_embedding_w4(NodePlanner& node) { return plan_embedding(node, 4); }
RunFunction plan_embedding_w8(NodePlanner& node) { return plan_embedding(node, 8); }

RunFunction plan_linear_float(NodePlanner& node) {
  if (node.shape(1).rank() != 2) node.fail("the weights are no matrix");
  const std::int64_t k = node.shape(1)[0], n = node.shape(1)[1];
  if (node.has(2) && node.shape(2) != Shape{n}) node.fail("the bias must have one value per output");
  if (k == 0) node.fail("the weights have no inputs");
  const std::int64_t rows = plan_linear_shape(node, n, k);
  return [rows, n, k, has_bias = node.has(2), kernels = &node.kernels()](const Operands& operands) {
    float* out = operands.out<float>(0);
    kernels->gemm_f32({rows, n, k, operands.in<float>(0), k, 1, operands.in<float>(1), n, 1, out, n});
    if (!has_bias) return;
    for (std::int64_t row = 0; row < rows; ++row)
      kernels->add(out + row * n, operands.in<float>(2), n, out + row * n);
  };
}

RunFunction plan_matmul(NodePlanner& node) {
  const Product product = product_of(node);
  const Shape batch_a = without_matrix_axes(product.a), batch_b = without_matrix_axes(product.b);
  const Shape batch = broadcast_shape(node, batch_a, batch_b);
  Shape shape = batch;
  if (node.shape(0).rank() > 1) shape.push_back(product.matrices.m);
  if (node.shape(1).rank() > 1) shape.push_back(product.matrices.n);
  node.set_output(0, shape);
  if (product.matrices.k == 0)
    return [count = shape.num_elements()](const Operands& operands) {
      std::fill_n(operands.out<float>(0), count, 0.0f);
    };
  const BroadcastWalk<2> walk(batch, {batch_a, batch_b});
  return [walk, gemm = product.matrices, kernel = node.kernels().gemm_f32](const Operands& operands) {
    walk.each_row([&](std::int64_t at, const std::array<std::int64_t, 2>& from) {
      for (std::int64_t i = 0; i < walk.inner_size(); ++i) {
        GemmF32 bound = gemm;
        bound.a = operands.in<float>(0) + (from[0] + i * walk.inner_stride(0)) * gemm.m * gemm.k;
        bound.b = operands.in<float>(1) + (from[1] + i * walk.inner_stride(1)) * gemm.k * gemm.n;
        bound.out = operands.out<float>(0) + (at + i) * gemm.m * gemm.n;
        kernel(bound);
      }
    });
  };
}

RunFunction plan_depthwise_conv(NodePlanner& node) {
  const Shape& x = node.shape(0);
  const Shape& weight = node.shape(1);
  if (x.rank() != 3 || weight.rank() != 2 || weight[1] != x[2] || node.shape(2) != Shape{x[2]})
    node.fail("expected x (B, T, D), weight (taps, D) and bias (D)");
  const std::int64_t frames = x[1] - weight[0] + 1, taps = weight[0], d = x[2];
  if (frames < 1 || taps < 1) node.fail("there are fewer frames than taps");
  node.set_output(0, {x[0], frames, d});
  return [=, batch = x[0], in_frames = x[1],
          kernel = node.kernels().depthwise_conv](const Operands& operands) {
    for (std::int64_t b = 0; b < batch; ++b)
      kernel({frames, taps, d, operands.in<float>(0) + b * in_frames * d, operands.in<float>(1),
              operands.in<float>(2), operands.out<float>(0) + b * frames * d});
  };
}

}  // namespace halfbyte::ops
