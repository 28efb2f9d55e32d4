// Float products with 4-bit weights, widened a panel at a time: the panel stays in the first cache, and
// every weight is widened once for all rows.
#pragma once
#include "kernels/generic/elementwise.h"
#include "kernels/generic/gemm_f32.h"
#include "kernels/packing.h"

namespace halfbyte {
namespace {

constexpr int64_t kUnitInputs = unit_inputs(4);
constexpr int64_t kPanelOutputs = 2 * kTileOutputs;  // few rows want two registers of outputs
static_assert(kLanes == kTileOutputs && kKc % kUnitInputs == 0);

// The scales of a tile's outputs for one input; 0 for outputs that are padding.
HB_INLINE Lanes tile_scales(const LinearW4A32& linear, int64_t first_n, int64_t k) {
  const int64_t per_output = linear.k / linear.group;
  const float* scales = linear.scales + first_n * per_output + k / linear.group;
  float lanes[kLanes] = {};
  for (int64_t j = 0; j < kLanes && first_n + j < linear.n; ++j) lanes[j] = scales[j * per_output];
  return load(lanes);
}

// One unit of a tile: wide[i][j] = float(code of input i, output j) * scale_of(i)[j].
template <class ScaleOf>
HB_INLINE void widen_unit(const uint8_t* unit, ScaleOf scale_of, float* wide) {
  const IntLanes codes = load(reinterpret_cast<const int32_t*>(unit));  // a lane: 4 inputs of an output
#pragma GCC unroll 8
  for (int i = 0; i < kUnitInputs; ++i) {
    const int first_bit = 8 * (i % kBlockInputs) + 4 * (i / kBlockInputs);
    store(wide + i * kPanelOutputs, to_float((codes << (28 - first_bit)) >> 28) * scale_of(i));
  }
}

// `depth` inputs of a tile, rounded up to whole units.
HB_INLINE void widen_tile(const LinearW4A32& linear, int64_t first_n, int64_t first_k, int64_t depth,
                          float* wide) {
  const int64_t unit = units_of(4, linear.k) * (first_n / kTileOutputs) + first_k / kUnitInputs;
  const uint8_t* packed = linear.packed + unit * kGroupBytes;
  const bool shares_scales = linear.group % kUnitInputs == 0 || linear.group == linear.k;
  Lanes scales{};
  for (int64_t k = 0; k < depth; k += kUnitInputs, packed += kGroupBytes) {
    const int64_t at = first_k + k;
    float* rows = wide + k * kPanelOutputs;
    if (shares_scales) {
      if (k == 0 || at % linear.group == 0) scales = tile_scales(linear, first_n, at);
      widen_unit(packed, [scales](int) { return scales; }, rows);
      continue;
    }
    widen_unit(
        packed,
        [&linear, first_n, at](int i) {
          const int64_t input = at + i < linear.k ? at + i : linear.k - 1;  // padding takes any scale
          return tile_scales(linear, first_n, input);
        },
        rows);
  }
}

// See LinearW4A32 for layouts. The order of additions is that of gemm_f32_strided.
void linear_w4a32(const LinearW4A32& linear) {
  alignas(64) float wide[kKc * kPanelOutputs];
  for (int64_t n = 0; n < linear.n; n += kPanelOutputs) {
    const int64_t outputs = linear.n - n < kPanelOutputs ? linear.n - n : kPanelOutputs;
    for (int64_t k = 0; k < linear.k; k += kKc) {
      const int64_t depth = linear.k - k < kKc ? linear.k - k : kKc;
      for (int64_t tile = 0; tile < outputs; tile += kTileOutputs)
        widen_tile(linear, n + tile, k, depth, wide + tile);
      gemm_f32_strided({linear.m, outputs, depth, linear.x + k, linear.k, 1, wide, kPanelOutputs, 1,
                        linear.out + n, linear.n, k > 0});
    }
  }
  for (int64_t row = 0; row < linear.m; ++row)
    add_f32(linear.out + row * linear.n, linear.bias, linear.n, linear.out + row * linear.n);
}

}  // namespace
}  // namespace halfbyte
