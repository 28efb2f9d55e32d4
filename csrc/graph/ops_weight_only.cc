#include <algorithm>

#include "graph/ops.h"
#include "kernels/packing.h"

namespace halfbyte::ops {
namespace {

constexpr std::int64_t kGroupInputs = 2 * kBlockInputs;  // inputs of 64 bytes of 4-bit codes

// 4-bit weights (N, K) with one scale for each `group` inputs of an output.
struct WeightOnly {
  std::int64_t n, k, scales_per_output;

  std::int64_t scale_inputs() const { return k / scales_per_output; }
};

float low_code(std::uint8_t byte) { return static_cast<float>(((byte & 15) ^ 8) - 8); }

// One group of packed codes to columns of out (K, N): out[k][n] = float(code) * scale.
void widen_group(const WeightOnly& weight, const std::uint8_t* bytes, std::int64_t first_n,
                 std::int64_t first_k, const float* scales, float* out) {
  const std::int64_t num_n = std::min(kTileOutputs, weight.n - first_n);
  const std::int64_t num_k = std::min(kGroupInputs, weight.k - first_k);
  for (std::int64_t i = 0; i < num_k; ++i) {
    const std::int64_t at = (first_k + i) / weight.scale_inputs();
    const int shift = i < kBlockInputs ? 0 : 4;
    float* row = out + (first_k + i) * weight.n + first_n;
    for (std::int64_t j = 0; j < num_n; ++j)
      row[j] = low_code(bytes[j * kBlockInputs + i % kBlockInputs] >> shift) *
               scales[(first_n + j) * weight.scales_per_output + at];
  }
}

void widen(const WeightOnly& weight, const std::uint8_t* packed, const float* scales, float* out) {
  for (std::int64_t n = 0; n < weight.n; n += kTileOutputs)
    for (std::int64_t k = 0; k < weight.k; k += kGroupInputs, packed += kGroupBytes)
      widen_group(weight, packed, n, k, scales, out);
}

}  // namespace

// y = x · wᵀ + b with w widened to float32 in every step: small in the file and in memory, but a float
// product. scales (N, K / G) float32.
RunFunction plan_linear_w4a32(NodePlanner& node) {
  const std::int64_t n = node.shape(1)[0], k = node.shape(1)[1];
  const Shape& scales = node.shape(2);
  if (packed_bits(node.dtype(1)) != 4) node.fail("its codes have another width");
  if (scales.rank() != 2 || scales[0] != n || scales[1] < 1 || k % scales[1] != 0)
    node.fail("scales must be (N, K / G)");
  if (node.shape(3) != Shape{n}) node.fail("the bias must have one value per output");
  Shape shape = node.shape(0);
  const int last = shape.rank() - 1;
  if (last < 0 || k == 0 || shape[last] != k)
    node.fail("the last axis has not the size of the weights' inputs");
  shape[last] = n;
  node.set_output(0, shape);
  node.need_scratch(static_cast<std::size_t>(n * k) * sizeof(float));
  const WeightOnly weight{n, k, scales[1]};
  return [weight, rows = shape.product(0, last), kernels = &node.kernels()](const Operands& operands) {
    auto* wide = static_cast<float*>(operands.scratch);
    float* out = operands.out<float>(0);
    const std::int64_t n = weight.n, k = weight.k;
    widen(weight, operands.in<std::uint8_t>(1), operands.in<float>(2), wide);
    kernels->gemm_f32({rows, n, k, operands.in<float>(0), k, 1, wide, n, 1, out, n});
    for (std::int64_t row = 0; row < rows; ++row)
      kernels->add(out + row * n, operands.in<float>(3), n, out + row * n);
  };
}

}  // namespace halfbyte::ops
