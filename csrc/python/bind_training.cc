// What training computes with the engine's kernels, in `halfbyte._core.kernels`: the linear layer from
// unpacked codes, codes of whole rows, and the loss of transducers. `threads` share the rows; which one does
// what changes no bit.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "decode/transducer_lattice.h"
#include "kernels/kernels.h"
#include "python/bindings.h"
#include "python/kernel_arrays.h"
#include "python/packed_arrays.h"
#include "python/training_threads.h"

namespace halfbyte::python {
namespace {

constexpr int64_t kRowsAtOnce = 64;        // of a layer: they stay in the cache until they are done with
constexpr int64_t kCodesAtOnce = 1 << 15;  // fewer are done before a second thread is awake

int64_t grain_of(int64_t k) { return std::max<int64_t>(1, kCodesAtOnce / std::max<int64_t>(1, k)); }

// Memory of a thread that is kept from layer to layer and step to step: given back each time, it comes back
// as fresh pages, and a page fault costs more than the codes that go into the page.
class Kept {
 public:
  uint8_t* bytes(int64_t count) {
    if (count > size_) {
      kept_ = new_packed(count);
      size_ = count;
    }
    return kept_.get();
  }

 private:
  PackedBuffer kept_;
  int64_t size_ = 0;
};

int64_t aligned(int64_t bytes) { return (bytes + 63) / 64 * 64; }

// The two types of a training step; bfloat16 goes as its bits, in int16.
const float* widened(const float* x, int64_t, float*) { return x; }
const float* widened(const int16_t* x, int64_t count, float* wide) {
  for (int64_t i = 0; i < count; ++i) wide[i] = float_of_bf16(x[i]);
  return wide;
}

float* result_place(float* out, float*) { return out; }
float* result_place(int16_t*, float* scratch) { return scratch; }

void store_result(const Kernels&, const float*, int64_t, float*) {}  // it is there
void store_result(const Kernels& table, const float* y, int64_t count, int16_t* out) {
  table.round_bf16(y, count, reinterpret_cast<uint16_t*>(out));
}

void store_values(const Kernels&, const int8_t* codes, float scale, int64_t count, float* out) {
  for (int64_t i = 0; i < count; ++i) out[i] = static_cast<float>(codes[i]) * scale;
}
void store_values(const Kernels& table, const int8_t* codes, float scale, int64_t count, int16_t* out) {
  table.values_bf16(codes, scale, count, reinterpret_cast<uint16_t*>(out));
}

uint8_t* pack_outputs(int bits, Matrix<const int8_t> codes, int threads) {
  thread_local Kept kept;
  const int64_t n = size(codes.shape(0)), k = size(codes.shape(1));
  uint8_t* const packed = kept.bytes(packed_bytes(bits, n, k));
  share_rows(threads, n, kTileOutputs, [&](int64_t begin, int64_t end) {
    pack_codes(bits, codes.data() + begin * k, end - begin, k, packed + packed_bytes(bits, begin, k));
  });
  return packed;
}

struct TrainedLayer {
  const Kernels& table;
  LinearKernel kernel;
  int edge;
  int64_t k, n;
  const uint8_t* packed;
  const float* scales;
  const float* bias;

  // kRowsAtOnce rows or fewer, from `first` on: of x (M, K) to out (M, N) and values (M, K).
  template <class X, class Out>
  void run(const X* x, int64_t first, int64_t rows, Out* out, Out* values) const {
    thread_local Kept kept;
    const int64_t stride = padded_codes(k), code_bytes = aligned(rows * stride);
    const int64_t wide_bytes = aligned(rows * std::max(k, n) * static_cast<int64_t>(sizeof(float)));
    uint8_t* const place = kept.bytes(code_bytes + wide_bytes);
    float* const wide = reinterpret_cast<float*>(place + code_bytes);  // of x, then of the result
    float row_scales[kRowsAtOnce];
    const CodeRows codes{rows, k, reinterpret_cast<int8_t*>(place), stride, row_scales};
    quantize_rows(table, widened(x + first * k, rows * k, wide), k, edge, codes, first);
    float* const y = result_place(out + first * n, wide);
    kernel({codes, packed, n}, {scales, bias, y, n});
    store_result(table, y, rows * n, out + first * n);
    for (int64_t row = 0; row < rows; ++row)
      store_values(table, codes.codes + row * stride, row_scales[row], k, values + (first + row) * k);
  }
};

template <class X, class Out>
void linear_train(Matrix<const X> x, Matrix<const int8_t> codes, int bits, int act_bits,
                  Vector<const float> scales, Vector<const float> bias, Matrix<Out> out, Matrix<Out> values_x,
                  Isa isa, int threads) {
  const int64_t rows = size(x.shape(0)), k = size(x.shape(1)), n = size(codes.shape(0));
  expect(size(out.shape(0)) == rows && size(scales.size()) == n && size(bias.size()) == n,
         "out must have as many rows as x, scales and bias N elements");
  expect(size(codes.shape(1)) == k && size(out.shape(1)) == n, "codes must be (N, K)");
  expect(size(values_x.shape(0)) == rows && size(values_x.shape(1)) == k, "values_x must be shaped as x");
  check_weights(bits, act_bits, n, k, packed_bytes(bits, n, k));
  const Kernels& table = find_kernels(isa);
  const LinearKernel kernel = linear_kernel(table, bits, act_bits);
  Computing computing;
  const TrainedLayer layer{
      table, kernel, edge_of(act_bits), k, n, pack_outputs(bits, codes, threads), scales.data(), bias.data()};
  share_rows(threads, rows, kRowsAtOnce / 4, [&](int64_t begin, int64_t end) {
    for (int64_t first = begin; first < end; first += kRowsAtOnce)
      layer.run(x.data(), first, std::min(kRowsAtOnce, end - first), out.data(), values_x.data());
  });
}

// fp16(scale), ties to even, and at least the smallest normal number of fp16; scale >= 0 or NaN, which stays.
float stored_scale(float scale) {
  constexpr float kSmallest = 0x1p-14f, kLargest = 65504.0f;
  if (std::isnan(scale)) return scale;
  if (scale <= kSmallest) return kSmallest;
  uint32_t bits;
  std::memcpy(&bits, &scale, sizeof bits);
  bits = (bits + 0xfff + ((bits >> 13) & 1)) & ~uint32_t{0x1fff};
  float rounded;
  std::memcpy(&rounded, &bits, sizeof rounded);
  return rounded > kLargest ? std::numeric_limits<float>::infinity() : rounded;
}

void weight_codes(Matrix<const float> x, float edge, int qmax, Matrix<int8_t> codes, Vector<float> scales,
                  Isa isa, int threads) {
  const int64_t rows = size(x.shape(0)), k = size(x.shape(1));
  expect(size(scales.size()) == rows && size(codes.shape(0)) == rows && size(codes.shape(1)) == k,
         "scales must have one value for each row, codes must be shaped as x");
  const Kernels& table = find_kernels(isa);
  Computing computing;
  share_rows(threads, rows, grain_of(k), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const float* const values = x.data() + row * k;
      const float scale = stored_scale(table.amax(values, k) / edge);
      scales.data()[row] = scale;
      table.codes_of_scale(values, scale, qmax, k, codes.data() + row * k);
    }
  });
}

void values_bf16(Matrix<const int8_t> codes, Vector<const float> scales, Matrix<int16_t> out, Isa isa,
                 int threads) {
  const int64_t rows = size(codes.shape(0)), k = size(codes.shape(1));
  expect(size(scales.size()) == rows && size(out.shape(0)) == rows && size(out.shape(1)) == k,
         "scales must have one value for each row, out must be shaped as codes");
  const Kernels& table = find_kernels(isa);
  Computing computing;
  share_rows(threads, rows, grain_of(k), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row)
      table.values_bf16(codes.data() + row * k, scales.data()[row], k,
                        reinterpret_cast<uint16_t*>(out.data()) + row * k);
  });
}

// Nodes of the utterances one after the other; a thread takes whole utterances.
void transducer_losses(Vector<const float> blank, Vector<const float> label, Vector<const int64_t> num_steps,
                       Vector<const int64_t> num_labels, double fast_emit, Vector<float> losses,
                       Vector<float> grad_blank, Vector<float> grad_label, int threads) {
  const int64_t batch = size(num_steps.size()), num_nodes = size(blank.size());
  expect(size(num_labels.size()) == batch && size(losses.size()) == batch,
         "num_labels and losses must have one value for each utterance");
  expect(size(label.size()) == num_nodes && size(grad_blank.size()) == num_nodes &&
             size(grad_label.size()) == num_nodes,
         "label and the gradients must be as long as blank");
  std::vector<int64_t> first{0};
  for (int64_t i = 0; i < batch; ++i) {
    const int64_t steps = num_steps.data()[i], labels = num_labels.data()[i];
    expect(steps >= 1 && labels >= 0 && steps <= num_nodes && labels < num_nodes,
           "an utterance needs a step or more, and 0 labels or more");
    first.push_back(first.back() + steps * (labels + 1));
  }
  expect(first.back() == num_nodes, "blank must have a value for each node, num_steps * (num_labels + 1)");
  Computing computing;
  share_rows(threads, batch, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const TransducerLattice lattice{static_cast<std::size_t>(num_steps.data()[i]),
                                      static_cast<std::size_t>(num_labels.data()[i]), blank.data() + first[i],
                                      label.data() + first[i]};
      losses.data()[i] = static_cast<float>(
          transducer_loss(lattice, fast_emit, grad_blank.data() + first[i], grad_label.data() + first[i]));
    }
  });
}

nb::arg_v threads_arg() { return nb::arg("threads") = 1; }

template <class X, class Out>
void def_linear_train(nb::module_& m, const char* name, const char* doc) {
  m.def(name, linear_train<X, Out>, nb::arg("x").noconvert(), nb::arg("codes").noconvert(), nb::arg("bits"),
        nb::arg("act_bits"), nb::arg("scales").noconvert(), nb::arg("bias").noconvert(),
        nb::arg("out").noconvert(), nb::arg("values_x").noconvert(), default_isa_arg(), threads_arg(), doc);
}

}  // namespace

void bind_training_kernels(nb::module_& m) {
  m.def("has_torch_threads", has_torch_threads,
        "Whether torch's threads were found; without them the kernels of training run on one.");
  def_linear_train<float, float>(m, "linear_train",
                                 "linear() from unpacked codes (N, K) int8, which also fills values_x with "
                                 "what the codes of x stand for.");
  def_linear_train<float, int16_t>(m, "linear_train_to_bf16",
                                   "linear_train() into bfloat16, its bits as int16.");
  def_linear_train<int16_t, int16_t>(m, "linear_train_bf16", "linear_train_to_bf16() of x in bfloat16.");
  m.def("weight_codes", weight_codes, nb::arg("x").noconvert(), nb::arg("edge"), nb::arg("qmax"),
        nb::arg("codes").noconvert(), nb::arg("scales").noconvert(), default_isa_arg(), threads_arg(),
        "x (N, K) -> scales (N), max(fp16(max|x| / edge), 2^-14), and codes (N, K), clip(rint(x / scale), "
        "-qmax, qmax).");
  m.def("values_bf16", values_bf16, nb::arg("codes").noconvert(), nb::arg("scales").noconvert(),
        nb::arg("out").noconvert(), default_isa_arg(), threads_arg(),
        "bfloat16(code * scale) with a scale for each row (M, K); the bits as int16.");
  m.def(
      "transducer_losses", transducer_losses, nb::arg("blank").noconvert(), nb::arg("label").noconvert(),
      nb::arg("num_steps").noconvert(), nb::arg("num_labels").noconvert(), nb::arg("fast_emit"),
      nb::arg("losses").noconvert(), nb::arg("grad_blank").noconvert(), nb::arg("grad_label").noconvert(),
      threads_arg(),
      "-log P of the labels of each utterance (B), and its gradients by the log-probabilities of blanks and "
      "labels of all nodes (N): utterance by utterance (T, U + 1).");
}

}  // namespace halfbyte::python
