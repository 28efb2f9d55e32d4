// `halfbyte._core.kernels`: the kernels one by one, for tests and benchmarks; bind_training.cc has those of
// training.
//
// Arrays are numpy arrays, torch CPU tensors or anything with DLPack or a buffer; they are never copied
// or converted, and results go into arrays that the caller brings. `isa` "" means the default.
#include <nanobind/stl/optional.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <optional>

#include "kernels/kernels.h"
#include "python/bindings.h"
#include "python/kernel_arrays.h"
#include "python/packed_arrays.h"

namespace halfbyte::python {
namespace {

// Padded codes of M rows, on the heap.
class CodeBuffer {
 public:
  CodeBuffer(int64_t rows, int64_t k, float* scales)
      : codes_(new int8_t[rows * padded_codes(k) + 1]),
        rows_{rows, k, codes_.get(), padded_codes(k), scales} {}

  const CodeRows& rows() const { return rows_; }

  void read_from(const int8_t* codes) {
    for (int64_t row = 0; row < rows_.rows; ++row) {
      std::memset(place(row), 0, rows_.stride);
      std::memcpy(place(row), codes + row * rows_.k, rows_.k);
    }
  }
  void write_to(int8_t* codes) const {
    for (int64_t row = 0; row < rows_.rows; ++row) std::memcpy(codes + row * rows_.k, place(row), rows_.k);
  }

 private:
  int8_t* place(int64_t row) const { return codes_.get() + row * rows_.stride; }

  std::unique_ptr<int8_t[]> codes_;
  CodeRows rows_;
};

nb::ndarray<nb::memview, uint8_t, nb::ndim<1>> pack(Matrix<const int8_t> codes, int bits) {
  const int64_t n = size(codes.shape(0)), k = size(codes.shape(1));
  check_weights(bits, 8, n, 0, packed_bytes(bits, n, 0));
  const int64_t bytes = packed_bytes(bits, n, k);
  PackedBuffer packed = new_packed(bytes);
  pack_codes(bits, codes.data(), n, k, packed.get());
  uint8_t* data = packed.release();
  nb::capsule owner(data, [](void* p) noexcept { AlignedDelete()(static_cast<uint8_t*>(p)); });
  return nb::ndarray<nb::memview, uint8_t, nb::ndim<1>>(data, {static_cast<size_t>(bytes)}, owner);
}

void unpack(Vector<const uint8_t> packed, int bits, Matrix<int8_t> codes) {
  const int64_t n = size(codes.shape(0)), k = size(codes.shape(1));
  check_weights(bits, 8, n, k, size(packed.size()));
  unpack_codes(bits, packed.data(), n, k, codes.data());
}

void quantize_rows_into(Matrix<const float> x, int qmax, Matrix<int8_t> codes, Vector<float> scales,
                        Isa isa) {
  const int64_t rows = size(x.shape(0)), k = size(x.shape(1));
  expect(size(codes.shape(0)) == rows && size(codes.shape(1)) == k && size(scales.size()) == rows,
         "codes must be (M, K) and scales (M) as x is");
  const Kernels& table = find_kernels(isa);
  Computing computing;
  CodeBuffer buffer(rows, k, scales.data());
  quantize_rows(table, x.data(), k, qmax, buffer.rows());
  buffer.write_to(codes.data());
}

void int_matmul(Matrix<const int8_t> codes, Vector<const uint8_t> packed, int bits, Matrix<int32_t> acc,
                Isa isa) {
  const int64_t rows = size(codes.shape(0)), k = size(codes.shape(1)), n = size(acc.shape(1));
  expect(size(acc.shape(0)) == rows, "acc must have as many rows as codes");
  check_weights(bits, 8, n, k, size(packed.size()));
  const Kernels& table = find_kernels(isa);
  Computing computing;
  CodeBuffer buffer(rows, k, nullptr);
  buffer.read_from(codes.data());
  Epilogue epilogue{nullptr, nullptr, nullptr, n};
  epilogue.sums = acc.data();
  find_linear(table, bits, 8)({buffer.rows(), packed.data(), n}, epilogue);
}

Activation activation_of(const std::string& name) {
  if (name == "none") return Activation::kNone;
  if (name == "silu") return Activation::kSilu;
  if (name == "relu") return Activation::kRelu;
  if (name == "glu") return Activation::kGlu;
  throw Error(ErrorKind::kUsage, "activation '" + name + "' came; there is none, silu, relu, glu");
}

void linear(Matrix<const float> x, Vector<const uint8_t> packed, int bits, int act_bits,
            Vector<const float> scales, Vector<const float> bias, Matrix<float> out, Isa isa,
            const std::string& activation, std::optional<Matrix<const float>> residual, float factor) {
  const int64_t rows = size(x.shape(0)), k = size(x.shape(1)), n = size(scales.size());
  const int edge = edge_of(act_bits);
  Epilogue epilogue{scales.data(), bias.data(), out.data(), size(out.shape(1))};
  epilogue.activation = activation_of(activation);
  const bool is_glu = epilogue.activation == Activation::kGlu;
  expect(out.shape(0) == x.shape(0), "out must have as many rows as x");
  expect(n == (is_glu ? 2 : 1) * epilogue.out_stride && size(bias.size()) == n,
         "scales and bias must have N elements, as many as out has columns, or twice for glu");
  expect(!is_glu || n % (2 * kTileOutputs) == 0, "glu takes a multiple of 32 outputs");
  if (residual) {
    expect(residual->shape(0) == out.shape(0) && residual->shape(1) == out.shape(1),
           "residual must be shaped as out");
    epilogue.residual = residual->data();
    epilogue.residual_stride = epilogue.out_stride;
    epilogue.factor = factor;
  }
  check_weights(bits, act_bits, n, k, size(packed.size()));
  const Kernels& table = find_kernels(isa);
  const LinearKernel kernel = find_linear(table, bits, act_bits);
  Computing computing;
  std::unique_ptr<float[]> row_scales(new float[rows + 1]);
  CodeBuffer buffer(rows, k, row_scales.get());
  quantize_rows(table, x.data(), k, edge, buffer.rows());
  kernel({buffer.rows(), packed.data(), n}, epilogue);
}

void embedding_into(Flat<const int64_t> ids, Vector<const uint8_t> packed, int bits,
                    Vector<const float> scales, Matrix<float> out) {
  const int64_t v = size(scales.size()), d = size(out.shape(1));
  check_weights(bits, 8, v, d, size(packed.size()));
  expect(ids.size() == out.shape(0), "out must have one row for each id");
  Computing computing;
  embedding({bits, v, d, packed.data(), scales.data()}, ids.data(), size(ids.size()), out.data());
}

void def_integer(nb::module_& m) {
  m.def("pack", pack, nb::arg("codes").noconvert(), nb::arg("bits"),
        "codes (N, K) int8 -> a 64-byte aligned memoryview in the layout of docs/integer-spec.md.");
  m.def("unpack", unpack, nb::arg("packed").noconvert(), nb::arg("bits"), nb::arg("codes").noconvert(),
        "packed uint8 -> codes (N, K) int8.");
  m.def("quantize_rows", quantize_rows_into, nb::arg("x").noconvert(), nb::arg("qmax"),
        nb::arg("codes").noconvert(), nb::arg("scales").noconvert(), default_isa_arg(),
        "x (M, K) float32 -> codes (M, K) int8, scales (M) float32.");
  m.def("int_matmul", int_matmul, nb::arg("codes").noconvert(), nb::arg("packed").noconvert(),
        nb::arg("bits"), nb::arg("acc").noconvert(), default_isa_arg(),
        "codes (M, K) int8 times packed weights -> acc (M, N) int32.");
  m.def("linear", linear, nb::arg("x").noconvert(), nb::arg("packed").noconvert(), nb::arg("bits"),
        nb::arg("act_bits"), nb::arg("scales").noconvert(), nb::arg("bias").noconvert(),
        nb::arg("out").noconvert(), default_isa_arg(), nb::arg("activation") = "none",
        nb::arg("residual").noconvert() = nb::none(), nb::arg("factor") = 1.0f,
        "LinearW{bits}A{act_bits}: x (M, K) float32 -> out (M, N) float32; y is the layer's output, "
        "out = activation(y), or residual + activation(y) * factor; activation: none, silu, relu, glu.");
  m.def("embedding", embedding_into, nb::arg("ids").noconvert(), nb::arg("packed").noconvert(),
        nb::arg("bits"), nb::arg("scales").noconvert(), nb::arg("out").noconvert(),
        "EmbeddingW{bits}: ids (...) int64 of a packed table (V, D) -> out (count, D) float32.");
}

}  // namespace

void bind_kernels(nb::module_& m) {
  nb::module_ kernels = m.def_submodule("kernels", "Single kernels, for tests and training.");
  kernels.def("isas", available_isas, "Names of the instruction sets this CPU runs, slowest first.");
  kernels.def("known_isas", known_isas, "Every name that HALFBYTE_ISA may have, on whatever CPU.");
  kernels.def(
      "default_isa", [] { return std::string(halfbyte::kernels().isa); },
      "The instruction set in use: HALFBYTE_ISA, or the best of isas().");
  def_integer(kernels);
  bind_float_kernels(kernels);
  bind_training_kernels(kernels);
  bind_patches(kernels);
}

}  // namespace halfbyte::python
