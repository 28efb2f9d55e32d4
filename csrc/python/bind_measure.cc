// `halfbyte._core.measure`: loops that a benchmark times without Python between the calls.
#include <nanobind/stl/vector.h>

#include <time.h>

#include <algorithm>
#include <memory>

#include "kernels/kernels.h"
#include "python/bindings.h"
#include "python/packed_arrays.h"

namespace halfbyte::python {
namespace {

// Processor time of this thread, which leaves out what other processes take.
double now_s() {
  timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

// What reading the clock adds to a time: the median of empty intervals.
double clock_cost_s() {
  std::vector<double> costs(101);
  for (double& cost : costs) {
    const double start_s = now_s();
    cost = now_s() - start_s;
  }
  std::nth_element(costs.begin(), costs.begin() + 50, costs.end());
  return costs[50];
}

// Activation codes and what goes with them, allocated once.
struct RowBuffer {
  RowBuffer(int64_t m, int64_t k)
      : codes(new int8_t[static_cast<size_t>(m * padded_codes(k) + 1)]),
        scales(new float[static_cast<size_t>(m + 1)]),
        rows{m, k, codes.get(), padded_codes(k), scales.get()} {}
  std::unique_ptr<int8_t[]> codes;
  std::unique_ptr<float[]> scales;
  CodeRows rows;
};

// One row of `packed` is one copy of the weights; call i takes copy i modulo their number.
std::vector<double> time_linear(Matrix<const float> x, Matrix<const uint8_t> packed, int bits, int act_bits,
                                Vector<const float> scales, Vector<const float> bias, Matrix<float> out,
                                int calls, const std::string& isa) {
  const auto m = static_cast<int64_t>(x.shape(0)), k = static_cast<int64_t>(x.shape(1));
  const auto n = static_cast<int64_t>(out.shape(1));
  const Kernels& table = find_kernels(isa);
  const LinearKernel kernel = linear_kernel(table, bits, act_bits);
  if (static_cast<int64_t>(packed.shape(1)) < packed_bytes(bits, n, k) || scales.size() != out.shape(1) ||
      bias.size() != out.shape(1) || out.shape(0) != x.shape(0) || packed.shape(0) == 0 ||
      k > largest_k(bits, act_bits))
    throw Error(ErrorKind::kInput, "sizes of x, weights, scales, bias and out do not fit each other");
  Computing computing;
  RowBuffer buffer(m, k);
  std::vector<double> seconds(static_cast<size_t>(calls));
  const double clock_s = clock_cost_s();
  for (size_t call = 0; call < seconds.size(); ++call) {
    const uint8_t* weights = packed.data() + call % packed.shape(0) * packed.shape(1);
    const double start_s = now_s();
    quantize_rows(table, x.data(), k, act_bits == 8 ? 127 : 7, buffer.rows);
    kernel({buffer.rows, weights, n}, {scales.data(), bias.data(), out.data(), n});
    seconds[call] = std::max(0.0, now_s() - start_s - clock_s);
  }
  return seconds;
}

double multiply_adds_per_second(int64_t rounds, const std::string& isa) {
  const Kernels& table = find_kernels(isa);
  if (table.spin == nullptr) return 0;
  Computing computing;
  const double start_s = now_s();
  const auto done = static_cast<double>(table.spin(rounds));
  return done / (now_s() - start_s);
}

double bytes_read_per_second(Vector<const uint8_t> buffer) {
  typedef uint64_t Words __attribute__((vector_size(16), aligned(1), may_alias));
  constexpr size_t kLine = 64, kAhead = 4096;
  Computing computing;
  const double start_s = now_s();
  Words sums[4] = {};
  size_t i = 0;
  for (; i + kLine <= buffer.size(); i += kLine) {
    const uint8_t* line = buffer.data() + i;
    __builtin_prefetch(line + kAhead, 0, 2);  // a processor's own prefetching may end at each page
#pragma GCC unroll 4
    for (int j = 0; j < 4; ++j) sums[j] ^= reinterpret_cast<const Words*>(line)[j];
  }
  const Words sum = (sums[0] ^ sums[1]) ^ (sums[2] ^ sums[3]);
  asm volatile("" : : "x"(sum));
  return static_cast<double>(i) / (now_s() - start_s);
}

}  // namespace

void bind_measure(nb::module_& m) {
  nb::module_ measure = m.def_submodule("measure", "Loops for benchmarks.");
  measure.def(
      "time_linear", time_linear, nb::arg("x").noconvert(), nb::arg("packed").noconvert(), nb::arg("bits"),
      nb::arg("act_bits"), nb::arg("scales").noconvert(), nb::arg("bias").noconvert(),
      nb::arg("out").noconvert(), nb::arg("calls"), nb::arg("isa") = "",
      "Processor seconds of each of `calls` calls of linear(), row quantisation included; packed (copies, "
      "bytes): call i takes copy i modulo their number.");
  measure.def("multiply_adds_per_second", multiply_adds_per_second, nb::arg("rounds"), nb::arg("isa") = "",
              "Peak of the multiply-add instruction of an instruction set, on registers; 0: not known.");
  measure.def("bytes_read_per_second", bytes_read_per_second, nb::arg("buffer").noconvert(),
              "Read bandwidth of one thread over a buffer, once from start to end.");
}

}  // namespace halfbyte::python
