// `halfbyte._core.kernels`: the kernels one by one, for tests, benchmarks and training.
//
// Arrays are numpy arrays, torch CPU tensors or anything with DLPack or a buffer; they are never copied
// or converted, and results go into arrays that the caller brings. `isa` "" means the default.
#include <nanobind/stl/optional.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <optional>
#include <new>

#include "kernels/kernels.h"
#include "python/bindings.h"
#include "python/kernel_arrays.h"

namespace halfbyte::python {
namespace {

int edge_of(int act_bits) {
  if (act_bits != 4 && act_bits != 8)
    throw Error(ErrorKind::kUsage, "activations of " + std::to_string(act_bits) +
                                       " bits came; the kernels know 4 and 8");
  return act_bits == 8 ? 127 : 7;
}

void check_weights(int bits, int act_bits, int64_t n, int64_t k, int64_t bytes) {
  if (bits < 1 || bits > kMaxWeightBits)
    throw Error(ErrorKind::kUsage,
                "weights of " + std::to_string(bits) + " bits came; the kernels know 1 to 8");
  if (k > largest_k(bits, act_bits))
    throw Error(ErrorKind::kUsage, std::to_string(k) + " inputs came; int32 sums may overflow above " +
                                       std::to_string(largest_k(bits, act_bits)));
  expect(bytes == packed_bytes(bits, n, k), "packed weights have another size than N and K need");
}

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
    for (int64_t row = 0; row < rows_.rows; ++row)
      std::memcpy(codes + row * rows_.k, place(row), rows_.k);
  }

 private:
  int8_t* place(int64_t row) const { return codes_.get() + row * rows_.stride; }

  std::unique_ptr<int8_t[]> codes_;
  CodeRows rows_;
};

// Packed weights at a 64-byte boundary.
struct AlignedDelete {
  void operator()(uint8_t* p) const { ::operator delete[](p, std::align_val_t{64}); }
};
using PackedBuffer = std::unique_ptr<uint8_t[], AlignedDelete>;

PackedBuffer new_packed(int64_t bytes) {
  return PackedBuffer(
      static_cast<uint8_t*>(::operator new[](static_cast<size_t>(bytes), std::align_val_t{64})));
}

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

void int_matmul(Matrix<const int8_t> codes, Vector<const uint8_t> packed, int bits,
                Matrix<int32_t> acc, Isa isa) {
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
            const std::string& activation, std::optional<Matrix<const float>> residual,
            float factor) {
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

// Memory of training that is kept from layer to layer and step to step: given back each time, it comes back as
// fresh pages, and a page fault costs more than the codes that go into the page.
uint8_t* kept_bytes(int64_t bytes) {
  thread_local PackedBuffer kept;
  thread_local int64_t kept_size = 0;
  if (bytes > kept_size) {
    kept = new_packed(bytes);
    kept_size = bytes;
  }
  return kept.get();
}

void quantize_matrix(const Kernels& table, Matrix<const float> x, int edge, const CodeRows& out) {
  quantize_rows(table, x.data(), out.k, edge, out);
}

// bfloat16, as bits: widened a few rows at a time, so that they stay in the cache.
void quantize_matrix(const Kernels& table, Matrix<const int16_t> x, int edge, const CodeRows& out) {
  constexpr int64_t kRows = 16;
  const std::unique_ptr<float[]> wide(new float[kRows * out.k + 1]);
  for (int64_t first = 0; first < out.rows; first += kRows) {
    const int64_t rows = std::min(kRows, out.rows - first);
    const int16_t* from = x.data() + first * out.k;
    for (int64_t i = 0; i < rows * out.k; ++i) {
      const uint32_t bits = static_cast<uint32_t>(static_cast<uint16_t>(from[i])) << 16;
      std::memcpy(wide.get() + i, &bits, sizeof bits);
    }
    quantize_rows(table, wide.get(), out.k, edge,
                  {rows, out.k, out.codes + first * out.stride, out.stride, out.scales + first});
  }
}

template <class T>
void linear_train(Matrix<const T> x, Matrix<const int8_t> codes, int bits, int act_bits,
                  Vector<const float> scales, Vector<const float> bias, Matrix<float> out,
                  Matrix<int8_t> codes_x, Vector<float> scales_x, Isa isa) {
  const int64_t rows = size(x.shape(0)), k = size(x.shape(1)), n = size(codes.shape(0));
  const int edge = edge_of(act_bits);
  expect(size(out.shape(0)) == rows && size(scales.size()) == n && size(bias.size()) == n,
         "out must have as many rows as x, scales and bias N elements");
  expect(size(codes.shape(1)) == k && size(out.shape(1)) == n, "codes must be (N, K)");
  expect(size(codes_x.shape(0)) == rows && size(codes_x.shape(1)) == k &&
             size(scales_x.size()) == rows,
         "codes_x must be (M, K) and scales_x (M) as x is");
  check_weights(bits, act_bits, n, k, packed_bytes(bits, n, k));
  const Kernels& table = find_kernels(isa);
  const LinearKernel kernel = find_linear(table, bits, act_bits);
  Computing computing;
  const int64_t weight_bytes = (packed_bytes(bits, n, k) + 63) / 64 * 64;
  uint8_t* packed = kept_bytes(weight_bytes + rows * padded_codes(k));
  pack_codes(bits, codes.data(), n, k, packed);
  const CodeRows code_rows{rows, k, reinterpret_cast<int8_t*>(packed + weight_bytes), padded_codes(k),
                           scales_x.data()};
  quantize_matrix(table, x, edge, code_rows);
  kernel({code_rows, packed, n}, {scales.data(), bias.data(), out.data(), n});
  for (int64_t row = 0; row < rows; ++row)
    std::memcpy(codes_x.data() + row * k, code_rows.codes + row * code_rows.stride, k);
}

void row_amax(Matrix<const float> x, Vector<float> amax, Isa isa) {
  const int64_t rows = size(x.shape(0)), k = size(x.shape(1));
  expect(size(amax.size()) == rows, "amax must have one value for each row");
  const Kernels& table = find_kernels(isa);
  Computing computing;
  for (int64_t row = 0; row < rows; ++row) amax.data()[row] = table.amax(x.data() + row * k, k);
}

void codes_of_scales(Matrix<const float> x, Vector<const float> scales, int qmax, Matrix<int8_t> codes,
                     Isa isa) {
  const int64_t rows = size(x.shape(0)), k = size(x.shape(1));
  expect(size(scales.size()) == rows && size(codes.shape(0)) == rows && size(codes.shape(1)) == k,
         "scales must have one value for each row, codes must be shaped as x");
  const Kernels& table = find_kernels(isa);
  Computing computing;
  for (int64_t row = 0; row < rows; ++row)
    table.codes_of_scale(x.data() + row * k, scales.data()[row], qmax, k, codes.data() + row * k);
}

void values_bf16(Matrix<const int8_t> codes, Vector<const float> scales, Matrix<int16_t> out, Isa isa) {
  const int64_t rows = size(codes.shape(0)), k = size(codes.shape(1));
  expect(size(scales.size()) == rows && size(out.shape(0)) == rows && size(out.shape(1)) == k,
         "scales must have one value for each row, out must be shaped as codes");
  const Kernels& table = find_kernels(isa);
  Computing computing;
  for (int64_t row = 0; row < rows; ++row)
    table.values_bf16(codes.data() + row * k, scales.data()[row], k,
                      reinterpret_cast<uint16_t*>(out.data()) + row * k);
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
  m.def("linear_train_bf16", linear_train<int16_t>, nb::arg("x").noconvert(),
        nb::arg("codes").noconvert(), nb::arg("bits"), nb::arg("act_bits"),
        nb::arg("scales").noconvert(), nb::arg("bias").noconvert(), nb::arg("out").noconvert(),
        nb::arg("codes_x").noconvert(), nb::arg("scales_x").noconvert(), default_isa_arg(),
        "linear_train() of x in bfloat16, its bits as int16.");
  m.def("linear_train", linear_train<float>, nb::arg("x").noconvert(), nb::arg("codes").noconvert(),
        nb::arg("bits"), nb::arg("act_bits"), nb::arg("scales").noconvert(),
        nb::arg("bias").noconvert(), nb::arg("out").noconvert(), nb::arg("codes_x").noconvert(),
        nb::arg("scales_x").noconvert(), default_isa_arg(),
        "linear() from unpacked codes (N, K) int8, which also fills the codes and scales of x.");
  m.def("row_amax", row_amax, nb::arg("x").noconvert(), nb::arg("amax").noconvert(), default_isa_arg(),
        "max |x| of each row (M, K) -> (M).");
  m.def("codes_of_scales", codes_of_scales, nb::arg("x").noconvert(), nb::arg("scales").noconvert(),
        nb::arg("qmax"), nb::arg("codes").noconvert(), default_isa_arg(),
        "clip(rint(x / scale), -qmax, qmax) with a scale for each row (M, K) -> int8.");
  m.def("values_bf16", values_bf16, nb::arg("codes").noconvert(), nb::arg("scales").noconvert(),
        nb::arg("out").noconvert(), default_isa_arg(),
        "bfloat16(code * scale) with a scale for each row (M, K); the bits as int16.");
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
}

}  // namespace halfbyte::python
