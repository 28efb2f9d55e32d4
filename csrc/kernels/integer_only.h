// The arithmetic of integer-only models: no function here but the first two touches a floating-point number.
//
// docs/integer-spec.md, "Integer-only mode", defines every function to the last bit. Shape letters as in
// kernels.h; all matrices are contiguous unless a stride is given. A table has 256 entries, that of code -128
// first.
#pragma once
#include <cstdint>

namespace halfbyte {

constexpr int kLargestShift = 62;

// code = clip(rint((x - mean[f]) * factor[f]), -127, 127); x (rows, F) float32.
struct FeatureCodes {
  int64_t rows, f;
  const float* x;
  const float* mean;    // (F)
  const float* factor;  // (F)
  int8_t* out;          // (rows, F)
};

// What follows an integer product, in place of Epilogue's numbers; exactly one of `codes` and `wide` is
// given.
//   y = (acc + bias[n]) * multipliers[n] / 2^shift
//   codes[m][n] = table[clip(y, low, 127) + 128], or without a table clip(y, low, 127)
//   wide[m][n]  = clip(residual[m][n] + y, -32767, 32767), residual 0 where there is none; wide may be
//   residual
struct IntegerEpilogue {
  const int32_t* bias;         // (N)
  const int32_t* multipliers;  // (N)
  int shift;                   // 1..62
  int64_t stride;              // from row to row of codes, wide and residual
  int32_t low = -127;
  const int8_t* table = nullptr;
  int8_t* codes = nullptr;
  const int16_t* residual = nullptr;
  int16_t* wide = nullptr;
};

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

// out = (z * weight[d] + bias[d]) / 2^shift, z = (x - mean) / sqrt(variance + epsilon / D^2) in units of
// 2^-16.
struct IntegerLayerNorm {
  int64_t rows, d;  // D <= 32768
  const int16_t* x;
  const int32_t* weight;
  const int64_t* bias;
  int64_t epsilon;  // 1..2^60
  int shift;
  const int8_t* table = nullptr;  // applied to codes of 8 bits
};

// acc[t][d] = bias[d] + sum over k of x[t + k][d] * weight[k][d], exact.
struct IntegerDepthwise {
  int64_t frames, taps, d;
  const int8_t* x;       // (T + taps - 1, D)
  const int8_t* weight;  // (taps, D)
  const int32_t* bias;
};

// Weights of one head for some queries, of which query i reads position[i][first - i + key]:
//   score = (content * content_multiplier + position * position_multiplier) / 2^shift
//   weights[i][key] = exponentials[largest score of i - score], the last one from there on, 0 for negative
//   ones
struct IntegerWeights {
  int64_t queries, keys;
  const int32_t* content;   // (queries, keys)
  const int32_t* position;  // rows `position_stride` apart
  int64_t position_stride, first;
  const int8_t* valid;         // (keys), 0 where a key must not be seen; where none may be, all are
  const int8_t* exponentials;  // (num_exponentials): exp(-i / 64) in units of 1 / 127
  int64_t num_exponentials;
  int32_t content_multiplier, position_multiplier;
  int shift;
  int32_t* below;   // (keys) of scratch
  int8_t* weights;  // rows `stride` apart, whose columns beyond the keys become 0
  int64_t stride;
  int32_t* totals;  // (queries): sums of weights
};

// out[i] = context[i] * floor(multiplier * 2^7 / totals[i]) / 2^(shift + 7)
struct IntegerMean {
  int64_t queries, width;
  const int32_t* context;  // (queries, width)
  const int32_t* totals;   // (queries)
  int32_t multiplier;
  int shift;  // 1..55
  int8_t* out;
  int64_t stride;  // from row to row of out
};

struct IntegerOnly {
  bool (*feature_codes)(const FeatureCodes&);  // whether all were finite; if not, out is not specified
  // out = float(code) * scale
  void (*numbers_i8)(const int8_t* codes, float scale, int64_t count, float* out);
  void (*numbers_i16)(const int16_t* codes, float scale, int64_t count, float* out);
  void (*rescale_i8)(const Rescale&, int32_t low, int8_t* out);  // clipped to low..127
  // Adds the residual (M, N), unless that is nullptr, and clips to +-32767; out may be residual.
  void (*rescale_i16)(const Rescale&, const int16_t* residual, int16_t* out);
  void (*table)(const int8_t* x, int64_t count, const int8_t* entries, int8_t* out);  // in place
  void (*glu)(const IntegerGlu&);
  void (*layer_norm_i8)(const IntegerLayerNorm&, int8_t* out);
  void (*layer_norm_i16)(const IntegerLayerNorm&, int16_t* out);
  void (*depthwise)(const IntegerDepthwise&, int32_t* out);  // (T, D)
  // The same, rescaled as by rescale_i16 without a residual.
  void (*depthwise_i16)(const IntegerDepthwise&, const int32_t* multipliers, int shift, int16_t* out);
  void (*attention_weights)(const IntegerWeights&);
  void (*attention_mean)(const IntegerMean&);
};

}  // namespace halfbyte
