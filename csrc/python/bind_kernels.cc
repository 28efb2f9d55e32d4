// `halfbyte._core.kernels`: instruction sets, and the kernels that are no operator by themselves; operators
// run alone by `halfbyte._core.run`, and bind_training.cc has the kernels of training.
//
// Arrays are numpy arrays, torch CPU tensors or anything with DLPack or a buffer; they are never copied
// or converted, and results go into arrays that the caller brings. `isa` "" means the default.
#include <nanobind/stl/vector.h>

#include <cstring>
#include <memory>

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

void gemm_f32(StridedMatrix<const float> a, StridedMatrix<const float> b, Matrix<float> out, Isa isa) {
  const int64_t m = size(a.shape(0)), k = size(a.shape(1)), n = size(b.shape(1));
  expect(size(b.shape(0)) == k && size(out.shape(0)) == m && size(out.shape(1)) == n,
         "a must be (M, K), b (K, N) and out (M, N)");
  const Kernels& table = find_kernels(isa);
  Computing computing;
  table.gemm_f32(
      {m, n, k, a.data(), a.stride(0), a.stride(1), b.data(), b.stride(0), b.stride(1), out.data(), n});
}

void def_kernels(nb::module_& m) {
  m.def("pack", pack, nb::arg("codes").noconvert(), nb::arg("bits"),
        "codes (N, K) int8 -> a 64-byte aligned memoryview in the layout of docs/integer-spec.md.");
  m.def("unpack", unpack, nb::arg("packed").noconvert(), nb::arg("bits"), nb::arg("codes").noconvert(),
        "packed uint8 -> codes (N, K) int8.");
  m.def("quantize_rows", quantize_rows_into, nb::arg("x").noconvert(), nb::arg("qmax"),
        nb::arg("codes").noconvert(), nb::arg("scales").noconvert(), default_isa_arg(),
        "x (M, K) float32 -> codes (M, K) int8, scales (M) float32.");
  m.def("gemm_f32", gemm_f32, nb::arg("a").noconvert(), nb::arg("b").noconvert(), nb::arg("out").noconvert(),
        default_isa_arg(), "a (M, K), b (K, N), any strides -> out (M, N).");
}

}  // namespace

void bind_kernels(nb::module_& m) {
  nb::module_ kernels =
      m.def_submodule("kernels", "Instruction sets; single kernels, for tests and training.");
  kernels.def("isas", available_isas, "Names of the instruction sets this CPU runs, slowest first.");
  kernels.def("known_isas", known_isas, "Every name that HALFBYTE_ISA may have, on whatever CPU.");
  kernels.def(
      "default_isa", [] { return std::string(halfbyte::kernels().isa); },
      "The instruction set in use: HALFBYTE_ISA, or the best of isas().");
  def_kernels(kernels);
  bind_training_kernels(kernels);
  bind_patches(kernels);
}

}  // namespace halfbyte::python
