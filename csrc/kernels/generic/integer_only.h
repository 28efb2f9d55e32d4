// Integer-only arithmetic in plain loops that the compiler makes vectors of; see kernels/integer_only.h.
#pragma once
#include "kernels/generic/lanes.h"
#include "kernels/integer_only.h"

namespace halfbyte {
namespace {

// floor(x / 2^shift) for |x| <= 2^63 - 2^62; AVX2 shifts 64 bits only without their sign.
HB_INLINE int64_t floor_shift(int64_t x, int shift) {
  constexpr uint64_t kOffset = uint64_t{1} << 62;
  return static_cast<int64_t>((static_cast<uint64_t>(x) + kOffset) >> shift) -
         static_cast<int64_t>(kOffset >> shift);
}

// x / 2^shift to the nearest integer, ties to even; |x| <= 2^62, shift 1..62.
HB_INLINE int64_t round_shift(int64_t x, int shift) {
  const uint64_t half = uint64_t{1} << (shift - 1);
  const uint64_t is_odd = static_cast<uint64_t>(floor_shift(x, shift)) & 1;
  return floor_shift(static_cast<int64_t>(static_cast<uint64_t>(x) + (half - 1) + is_odd), shift);
}

HB_INLINE int64_t clip(int64_t x, int64_t low, int64_t high) {
  const int64_t above = x < low ? low : x;
  return above > high ? high : above;
}

void rescale_i8_rows(const Rescale& op, int32_t low, int8_t* out) {
  for (int64_t row = 0; row < op.rows; ++row)
    for (int64_t n = 0, at = row * op.n; n < op.n; ++n) {
      const int64_t product = static_cast<int64_t>(op.acc[at + n]) * op.multipliers[n];
      out[at + n] = static_cast<int8_t>(clip(round_shift(product, op.shift), low, 127));
    }
}

void rescale_i16_rows(const Rescale& op, const int16_t* residual, int16_t* out) {
  for (int64_t row = 0; row < op.rows; ++row)
    for (int64_t n = 0, at = row * op.n; n < op.n; ++n) {
      const int64_t product = static_cast<int64_t>(op.acc[at + n]) * op.multipliers[n];
      const int64_t before = residual != nullptr ? residual[at + n] : 0;
      out[at + n] =
          static_cast<int16_t>(clip(before + round_shift(product, op.shift), -32767, 32767));
    }
}

void integer_glu(const IntegerGlu& op) {
  for (int64_t row = 0; row < op.rows; ++row)
    for (int64_t d = 0; d < op.d; ++d) {
      const int8_t* x = op.x + row * 2 * op.d + d;
      const int64_t gated = static_cast<int64_t>(x[0]) * op.gates[x[op.d] + 128];
      op.out[row * op.d + d] =
          static_cast<int8_t>(clip(round_shift(gated * op.multiplier, op.shift), -127, 127));
    }
}

// 2^31 / sqrt(v) in units of 2^(h - 31), where 4^h is the power that brings v (1..2^61) to 2^60 at least.
struct InverseRoot {
  int64_t factor;  // at most 2^31 - 1
  int h;

  HB_INLINE explicit InverseRoot(uint64_t v) : h(0) {
    for (; v < uint64_t{1} << 60; v <<= 2) ++h;
    uint64_t root = uint64_t{1} << 31;  // Newton's steps from above
    for (int step = 0; step < 6; ++step) root = (root + v / root) >> 1;
    const uint64_t inverse = (uint64_t{1} << 61) / root;
    factor = static_cast<int64_t>(inverse < 0x7fffffff ? inverse : 0x7fffffff);
  }
};

template <class Out>
HB_INLINE void integer_layer_norm(const IntegerLayerNorm& op, int64_t high, Out* out) {
  for (int64_t row = 0; row < op.rows; ++row) {
    const int16_t* x = op.x + row * op.d;
    int64_t sum = 0, squares = 0;
    for (int64_t i = 0; i < op.d; ++i) {
      sum += x[i];
      squares += static_cast<int32_t>(x[i]) * x[i];
    }
    const InverseRoot inverse(static_cast<uint64_t>(op.d * squares - sum * sum + op.epsilon));
    for (int64_t i = 0; i < op.d; ++i) {
      const int64_t centred = op.d * x[i] - sum;
      const int64_t z = round_shift(centred * inverse.factor, 45 - inverse.h);
      // A file may hold any bias: the sum wraps rather than overflows.
      const uint64_t sum_of_both = static_cast<uint64_t>(z * op.weight[i]) + static_cast<uint64_t>(op.bias[i]);
      const int64_t y = round_shift(static_cast<int64_t>(sum_of_both), op.shift);
      out[row * op.d + i] = static_cast<Out>(clip(y, -high, high));
    }
  }
}

void layer_norm_i8_rows(const IntegerLayerNorm& op, int8_t* out) {
  integer_layer_norm(op, 127, out);
}
void layer_norm_i16_rows(const IntegerLayerNorm& op, int16_t* out) {
  integer_layer_norm(op, 32767, out);
}

void integer_depthwise(const IntegerDepthwise& op) {
  for (int64_t t = 0; t < op.frames; ++t) {
    int32_t* out = op.out + t * op.d;
    for (int64_t d = 0; d < op.d; ++d) out[d] = op.bias[d];
    for (int64_t k = 0; k < op.taps; ++k) {
      const int8_t *x = op.x + (t + k) * op.d, *weight = op.weight + k * op.d;
      for (int64_t d = 0; d < op.d; ++d) out[d] += static_cast<int32_t>(x[d]) * weight[d];
    }
  }
}

HB_INLINE int32_t dot(const int8_t* a, const int8_t* b, int64_t width) {
  int32_t sum = 0;
  for (int64_t i = 0; i < width; ++i) sum += static_cast<int32_t>(a[i]) * b[i];
  return sum;
}

HB_INLINE void add_clipped(const int8_t* a, const int8_t* b, int64_t width, int8_t* out) {
  for (int64_t i = 0; i < width; ++i) out[i] = static_cast<int8_t>(clip(a[i] + b[i], -127, 127));
}

// Scores of query i in units of 1/64, those of keys that must not be seen far below all others; the largest.
HB_INLINE int64_t score_keys(const IntegerAttention& op, int64_t i) {
  constexpr int64_t kUnseen = -(int64_t{1} << 61);
  int8_t by_content[kLargestHead], by_position[kLargestHead];
  add_clipped(op.query + i * op.stride, op.content, op.width, by_content);
  add_clipped(op.query + i * op.stride, op.position, op.width, by_position);
  const int8_t* distances = op.distances + (op.queries - 1 - i) * op.stride;
  int64_t largest = kUnseen;
  for (int64_t j = 0; j < op.keys; ++j) {
    const int64_t content = dot(by_content, op.key + j * op.stride, op.width);
    const int64_t position = dot(by_position, distances + j * op.stride, op.width);
    const int64_t sum = content * op.content_multiplier + position * op.position_multiplier;
    op.scores[j] = op.valid[j] != 0 ? round_shift(sum, op.score_shift) : kUnseen;
    largest = op.scores[j] > largest ? op.scores[j] : largest;
  }
  return largest;
}

void integer_attention(const IntegerAttention& op) {
  for (int64_t i = 0; i < op.queries; ++i) {
    const int64_t largest = score_keys(op, i);
    int32_t context[kLargestHead] = {}, total = 0;
    for (int64_t j = 0; j < op.keys; ++j) {
      const int64_t below = largest - op.scores[j];
      const int32_t weight =
          op.exponentials[below < op.num_exponentials ? below : op.num_exponentials - 1];
      if (weight <= 0) continue;
      total += weight;
      const int8_t* value = op.value + j * op.stride;
      for (int64_t k = 0; k < op.width; ++k) context[k] += weight * value[k];
    }
    const int64_t factor = (static_cast<int64_t>(op.multiplier) << 7) / (total > 0 ? total : 1);
    for (int64_t k = 0; k < op.width; ++k)
      op.out[i * op.stride + k] =
          static_cast<int8_t>(clip(round_shift(context[k] * factor, op.shift + 7), -127, 127));
  }
}

constexpr IntegerOnly kIntegerOnly = {rescale_i8_rows,     rescale_i16_rows,  integer_glu,
                                      layer_norm_i8_rows,  layer_norm_i16_rows, integer_depthwise,
                                      integer_attention};

}  // namespace
}  // namespace halfbyte
