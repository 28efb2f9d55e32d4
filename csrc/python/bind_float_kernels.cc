// The float kernels of `halfbyte._core.kernels`.
#include "kernels/kernels.h"
#include "python/bindings.h"
#include "python/kernel_arrays.h"
#include "python/packed_arrays.h"

namespace halfbyte::python {
namespace {

void gemm_f32(StridedMatrix<const float> a, StridedMatrix<const float> b, Matrix<float> out, Isa isa) {
  const int64_t m = size(a.shape(0)), k = size(a.shape(1)), n = size(b.shape(1));
  expect(size(b.shape(0)) == k && size(out.shape(0)) == m && size(out.shape(1)) == n,
         "a must be (M, K), b (K, N) and out (M, N)");
  const Kernels& table = find_kernels(isa);
  Computing computing;
  table.gemm_f32(
      {m, n, k, a.data(), a.stride(0), a.stride(1), b.data(), b.stride(0), b.stride(1), out.data(), n});
}

void linear_w4a32(Matrix<const float> x, Vector<const uint8_t> packed, Matrix<const float> scales,
                  Vector<const float> bias, Matrix<float> out, Isa isa) {
  const int64_t m = size(x.shape(0)), k = size(x.shape(1)), n = size(scales.shape(0));
  const int64_t per_output = size(scales.shape(1));
  expect(size(out.shape(0)) == m && size(out.shape(1)) == n && size(bias.size()) == n,
         "x must be (M, K), scales (N, K / G), bias (N) and out (M, N)");
  expect(per_output > 0 && k > 0 && k % per_output == 0, "scales must be (N, K / G), G a divisor of K");
  check_weights(4, 8, n, k, size(packed.size()));
  const Kernels& table = find_kernels(isa);
  Computing computing;
  table.linear_w4a32(
      {m, n, k, x.data(), packed.data(), scales.data(), k / per_output, bias.data(), out.data()});
}

void layer_norm(Matrix<const float> x, Vector<const float> weight, Vector<const float> bias, float epsilon,
                Matrix<float> out, Isa isa) {
  const size_t d = x.shape(1);
  expect(weight.size() == d && bias.size() == d && out.shape(1) == d && out.shape(0) == x.shape(0),
         "weight and bias must be (D), out (rows, D) as x is");
  const Kernels& table = find_kernels(isa);
  Computing computing;
  table.layer_norm({size(x.shape(0)), size(d), x.data(), weight.data(), bias.data(), epsilon, out.data()});
}

void depthwise_conv(Matrix<const float> x, Matrix<const float> weight, Vector<const float> bias,
                    Matrix<float> out, Isa isa) {
  const size_t taps = weight.shape(0), frames = out.shape(0), d = x.shape(1);
  expect(x.shape(0) + 1 == frames + taps && weight.shape(1) == d && bias.size() == d && out.shape(1) == d,
         "x must be (T + taps - 1, D), weight (taps, D), bias (D) and out (T, D)");
  const Kernels& table = find_kernels(isa);
  Computing computing;
  table.depthwise_conv({size(frames), size(taps), size(d), x.data(), weight.data(), bias.data(), out.data()});
}

void glu(Matrix<const float> x, Matrix<float> out, Isa isa) {
  expect(x.shape(0) == out.shape(0) && x.shape(1) == 2 * out.shape(1),
         "x must be (rows, 2D) and out (rows, D)");
  const Kernels& table = find_kernels(isa);
  Computing computing;
  table.glu(x.data(), size(out.shape(0)), size(out.shape(1)), out.data());
}

void scale(Flat<const float> x, float factor, Flat<float> out, Isa isa) {
  expect(x.size() == out.size(), "out must have as many elements as x");
  const Kernels& table = find_kernels(isa);
  Computing computing;
  table.scale(x.data(), factor, size(x.size()), out.data());
}

void def_row_op(nb::module_& m, const char* name, RowOp Kernels::* op) {
  m.def(
      name,
      [op](Matrix<const float> x, Matrix<float> out, Isa isa) {
        expect(x.shape(0) == out.shape(0) && x.shape(1) == out.shape(1), "out must be shaped as x");
        const Kernels& table = find_kernels(isa);
        Computing computing;
        (table.*op)(x.data(), size(x.shape(0)), size(x.shape(1)), out.data());
      },
      nb::arg("x").noconvert(), nb::arg("out").noconvert(), nb::arg("isa") = "");
}

void def_unary(nb::module_& m, const char* name, UnaryOp Kernels::* op) {
  m.def(
      name,
      [op](Flat<const float> x, Flat<float> out, Isa isa) {
        expect(x.size() == out.size(), "out must have as many elements as x");
        const Kernels& table = find_kernels(isa);
        Computing computing;
        (table.*op)(x.data(), size(x.size()), out.data());
      },
      nb::arg("x").noconvert(), nb::arg("out").noconvert(), nb::arg("isa") = "");
}

void def_binary(nb::module_& m, const char* name, BinaryOp Kernels::* op) {
  m.def(
      name,
      [op](Flat<const float> a, Flat<const float> b, Flat<float> out, Isa isa) {
        expect(a.size() == out.size() && b.size() == out.size(), "a, b and out must be of one size");
        const Kernels& table = find_kernels(isa);
        Computing computing;
        (table.*op)(a.data(), b.data(), size(a.size()), out.data());
      },
      nb::arg("a").noconvert(), nb::arg("b").noconvert(), nb::arg("out").noconvert(), nb::arg("isa") = "");
}

}  // namespace

void bind_float_kernels(nb::module_& m) {
  m.def("gemm_f32", gemm_f32, nb::arg("a").noconvert(), nb::arg("b").noconvert(), nb::arg("out").noconvert(),
        default_isa_arg(), "a (M, K), b (K, N), any strides -> out (M, N).");
  m.def("linear_w4a32", linear_w4a32, nb::arg("x").noconvert(), nb::arg("packed").noconvert(),
        nb::arg("scales").noconvert(), nb::arg("bias").noconvert(), nb::arg("out").noconvert(),
        default_isa_arg(), "x (M, K), 4-bit codes (N, K) packed, scales (N, K / G), bias (N) -> out (M, N).");
  m.def("layer_norm", layer_norm, nb::arg("x").noconvert(), nb::arg("weight").noconvert(),
        nb::arg("bias").noconvert(), nb::arg("epsilon"), nb::arg("out").noconvert(), default_isa_arg());
  m.def("depthwise_conv", depthwise_conv, nb::arg("x").noconvert(), nb::arg("weight").noconvert(),
        nb::arg("bias").noconvert(), nb::arg("out").noconvert(), default_isa_arg());
  m.def("glu", glu, nb::arg("x").noconvert(), nb::arg("out").noconvert(), default_isa_arg());
  m.def("scale", scale, nb::arg("x").noconvert(), nb::arg("factor"), nb::arg("out").noconvert(),
        default_isa_arg());
  def_row_op(m, "softmax", &Kernels::softmax);
  def_row_op(m, "log_softmax", &Kernels::log_softmax);
  def_unary(m, "exp", &Kernels::exp);
  def_unary(m, "log", &Kernels::log);
  def_unary(m, "sigmoid", &Kernels::sigmoid);
  def_unary(m, "silu", &Kernels::silu);
  def_unary(m, "tanh", &Kernels::tanh);
  def_unary(m, "relu", &Kernels::relu);
  def_binary(m, "add", &Kernels::add);
  def_binary(m, "mul", &Kernels::mul);
}

}  // namespace halfbyte::python
