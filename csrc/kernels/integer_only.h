// The arithmetic of integer-only models: no function here touches a floating-point number.
//
// docs/integer-spec.md, "Integer-only mode", defines every function to the last bit. Shape letters as in
// kernels.h; all matrices are contiguous.
#pragma once
#include <cstdint>

namespace halfbyte {

constexpr int kLargestShift = 62;

// acc (M, N) int32 times multipliers[n], divided by 2^shift (1..62), rounded half to even, clipped.
struct Rescale {
  int64_t rows, n;
  const int32_t* acc;
  const int32_t* multipliers;
  int shift;
};

// out[d] = a * gates[b + 128] * multiplier / 2^shift with a = x[d], b = x[D + d]; x (rows, 2D) int8.
struct IntegerGlu {
  int64_t rows, d;
  const int8_t* x;
  const int16_t* gates;  // (256), sigmoid in units of 2^-15
  int32_t multiplier;
  int shift;
  int8_t* out;  // (rows, D)
};

// out = (z * weight[d] + bias[d]) / 2^shift, z = (x - mean) / sqrt(variance + epsilon / D^2) in units of 2^-16.
struct IntegerLayerNorm {
  int64_t rows, d;  // D <= 32768
  const int16_t* x;
  const int32_t* weight;
  const int64_t* bias;
  int64_t epsilon;  // 1..2^60
  int shift;
};

// out[t][d] = bias[d] + sum over k of x[t + k][d] * weight[k][d], exact.
struct IntegerDepthwise {
  int64_t frames, taps, d;
  const int8_t* x;       // (T + taps - 1, D)
  const int8_t* weight;  // (taps, D)
  const int32_t* bias;
  int32_t* out;  // (T, D)
};

// One head of one stream: C queries over K keys; rows of all matrices but `out` are `stride` apart.
struct IntegerAttention {
  int64_t queries, keys, width;  // width of a head, at most kLargestHead
  int64_t stride;
  const int8_t* query;      // (C, width)
  const int8_t* content;    // (width), added to queries before they meet keys
  const int8_t* position;   // (width), before they meet distances
  const int8_t* key;        // (K, width)
  const int8_t* value;      // (K, width)
  const int8_t* distances;  // (K + C - 1, width), farthest past first
  const int8_t* valid;      // (K), 0 where a key must not be seen
  const int8_t* exponentials;  // (num_exponentials): exp(-i / 64) in units of 1 / 127
  int64_t num_exponentials;
  int32_t content_multiplier, position_multiplier;
  int score_shift;
  int32_t multiplier;
  int shift;        // 1..55
  int64_t* scores;  // (K) of scratch
  int8_t* out;      // (C, width), rows `stride` apart
};
constexpr int64_t kLargestHead = 256;

struct IntegerOnly {
  void (*rescale_i8)(const Rescale&, int32_t low, int8_t* out);  // clipped to low..127
  // Adds the residual (M, N), unless that is nullptr, and clips to +-32767; out may be residual.
  void (*rescale_i16)(const Rescale&, const int16_t* residual, int16_t* out);
  void (*glu)(const IntegerGlu&);
  void (*layer_norm_i8)(const IntegerLayerNorm&, int8_t* out);
  void (*layer_norm_i16)(const IntegerLayerNorm&, int16_t* out);
  void (*depthwise)(const IntegerDepthwise&);
  void (*attention)(const IntegerAttention&);
};

}  // namespace halfbyte
