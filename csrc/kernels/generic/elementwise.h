// Kernels whose outputs each depend on one element (or one pair): see kernels.h for shapes.
#pragma once
#include "kernels/generic/functions.h"

namespace halfbyte {
namespace {

// out[i] = function(x[i]); reads and writes exactly `count` elements; out may be x.
template <class Function>
HB_INLINE void map(const float* x, int64_t count, float* out, Function function) {
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) store(out + i, function(load(x + i)));
  if (i < count) store_part(out + i, function(load_part(x + i, count - i, 0.0f)), count - i);
}

// out[i] = function(a[i], b[i]); out may be a or b.
template <class Function>
HB_INLINE void map2(const float* a, const float* b, int64_t count, float* out, Function function) {
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) store(out + i, function(load(a + i), load(b + i)));
  if (i == count) return;
  const int64_t rest = count - i;
  const Lanes last = function(load_part(a + i, rest, 0.0f), load_part(b + i, rest, 0.0f));
  store_part(out + i, last, rest);
}

void exp_f32(const float* x, int64_t count, float* out) { map(x, count, out, exp_lanes); }
void log_f32(const float* x, int64_t count, float* out) { map(x, count, out, log_lanes); }
void sigmoid_f32(const float* x, int64_t count, float* out) { map(x, count, out, sigmoid_lanes); }
void silu_f32(const float* x, int64_t count, float* out) { map(x, count, out, silu_lanes); }
void tanh_f32(const float* x, int64_t count, float* out) { map(x, count, out, tanh_lanes); }
void relu_f32(const float* x, int64_t count, float* out) { map(x, count, out, relu_lanes); }

void add_f32(const float* a, const float* b, int64_t count, float* out) {
  map2(a, b, count, out, [](Lanes x, Lanes y) { return x + y; });
}
void mul_f32(const float* a, const float* b, int64_t count, float* out) {
  map2(a, b, count, out, [](Lanes x, Lanes y) { return x * y; });
}
void scale_f32(const float* x, float factor, int64_t count, float* out) {
  map(x, count, out, [factor](Lanes v) { return v * splat(factor); });
}

// out[r][d] = x[r][d] * sigmoid(x[r][D + d]); x (rows, 2D), out (rows, D).
void glu_f32(const float* x, int64_t rows, int64_t d, float* out) {
  for (int64_t row = 0; row < rows; ++row)
    map2(x + row * 2 * d, x + row * 2 * d + d, d, out + row * d,
         [](Lanes value, Lanes gate) { return value * sigmoid_lanes(gate); });
}

}  // namespace
}  // namespace halfbyte
