#include <algorithm>

#include "graph/broadcast.h"
#include "graph/operator.h"

namespace halfbyte::ops {

namespace {

// Operands of a product as at least matrices: a row for a vector on the left, a column on the right.
struct Product {
  Shape a, b;        // with matrix axes
  GemmF32 matrices;  // of one batch entry, pointers unset
};

Product product_of(NodePlanner& node) {
  Product product{node.shape(0), node.shape(1), {}};
  if (product.a.rank() == 0 || product.b.rank() == 0) node.fail("an operand is a scalar; expected matrices");
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

static RunFunction plan(NodePlanner& node) {
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

extern const OpDefinition op_mat_mul{"MatMul", "ff>f", plan};

}  // namespace halfbyte::ops
