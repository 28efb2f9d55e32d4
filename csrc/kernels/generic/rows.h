// Kernels that reduce a row: layer norm, softmax, log-softmax. Element i of a row goes to lane i mod 16;
// lanes start at 0.0f (sums) or -infinity (maxima) and are folded by halving. Missing elements of the
// last group add +0.0f, which changes no lane. All may work in place.
#pragma once
#include "kernels/generic/functions.h"

namespace halfbyte {
namespace {

// Sum over a row of function(element); `function` maps a missing element, `rest`, to 0.0f.
template <class Function>
HB_INLINE float row_sum(const float* x, int64_t d, float rest, Function function) {
  Lanes sum = splat(0.0f);
  int64_t i = 0;
  for (; i + kLanes <= d; i += kLanes) sum = sum + function(load(x + i));
  if (i < d) sum = sum + function(load_part(x + i, d - i, rest));
  return halving_sum(sum);
}

HB_INLINE Lanes larger(Lanes best, Lanes v) { return select(v > best, v, best); }

HB_INLINE float row_max(const float* x, int64_t d) {
  Lanes best = splat(-kInfinity);
  int64_t i = 0;
  for (; i + kLanes <= d; i += kLanes) best = larger(best, load(x + i));
  if (i < d) best = larger(best, load_part(x + i, d - i, -kInfinity));
  return halving_max(best);
}

template <class Function>
HB_INLINE void map_row(const float* x, int64_t d, float* out, Function function) {
  int64_t i = 0;
  for (; i + kLanes <= d; i += kLanes) store(out + i, function(load(x + i)));
  if (i < d) store_part(out + i, function(load_part(x + i, d - i, 0.0f)), d - i);
}

// y = e / sum(e), e = exp(x - max(x)).
void softmax_f32(const float* x, int64_t rows, int64_t d, float* out) {
  for (int64_t row = 0; row < rows; ++row, x += d, out += d) {
    const Lanes top = splat(row_max(x, d));
    map_row(x, d, out, [top](Lanes v) { return exp_lanes(v - top); });
    const Lanes sum = splat(row_sum(out, d, 0.0f, [](Lanes v) { return v; }));
    map_row(out, d, out, [sum](Lanes v) { return v / sum; });
  }
}

// y = (x - max(x)) - log(sum(exp(x - max(x)))).
void log_softmax_f32(const float* x, int64_t rows, int64_t d, float* out) {
  for (int64_t row = 0; row < rows; ++row, x += d, out += d) {
    const Lanes top = splat(row_max(x, d));
    const float sum = row_sum(x, d, -kInfinity, [top](Lanes v) { return exp_lanes(v - top); });
    const Lanes log_sum = log_lanes(splat(sum));
    map_row(x, d, out, [top, log_sum](Lanes v) { return (v - top) - log_sum; });
  }
}

HB_INLINE void layer_norm_row(const LayerNorm& op, const float* x, float* out) {
  const float d = static_cast<float>(op.d);
  const float mean = row_sum(x, op.d, 0.0f, [](Lanes v) { return v; }) / d;
  const Lanes centre = splat(mean);
  const float squares = row_sum(x, op.d, mean, [centre](Lanes v) {
    const Lanes difference = v - centre;
    return difference * difference;
  });
  const Lanes factor = splat(1.0f / __builtin_sqrtf(squares / d + op.epsilon));
  for (int64_t i = 0; i < op.d; i += kLanes) {
    const int64_t count = op.d - i < kLanes ? op.d - i : kLanes;
    if (count == kLanes) {
      store(out + i, ((load(x + i) - centre) * factor) * load(op.weight + i) + load(op.bias + i));
    } else {
      const Lanes weight = load_part(op.weight + i, count, 0.0f);
      const Lanes bias = load_part(op.bias + i, count, 0.0f);
      const Lanes scaled = (load_part(x + i, count, 0.0f) - centre) * factor;
      store_part(out + i, scaled * weight + bias, count);
    }
  }
}

// y = ((x - mean) * (1 / sqrt(var + epsilon))) * weight + bias, var = sum((x - mean)^2) / D.
void layer_norm_f32(const LayerNorm& op) {
  for (int64_t row = 0; row < op.rows; ++row) layer_norm_row(op, op.x + row * op.d, op.out + row * op.d);
}

}  // namespace
}  // namespace halfbyte
