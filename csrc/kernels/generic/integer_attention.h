// What integer-only attention does between its three products: weights from scores, and the mean from sums.
#pragma once
#include "kernels/generic/integer_epilogue.h"

namespace halfbyte {
namespace {

// How far each key's score lies below the largest, at most `last`. From a division by 2^32 on scores have 23
// bits.
HB_INLINE void distances_below(const IntegerWeights& op, const int32_t* content, const int32_t* position,
                               int32_t last) {
  const Rounding rounding(op.shift);
  const IntLanes m_content = splat_int(op.content_multiplier), m_position = splat_int(op.position_multiplier);
  const IntLanes unseen = splat_int(-(1 << 30));
  IntLanes best = unseen;
  for_lanes(op.keys, [&](int64_t j, auto part) {
    const auto sum =
        products(load(part, content + j), m_content) + products(load(part, position + j), m_position);
    const IntLanes is_unseen = load_codes(part, op.valid + j) == splat_int(0);
    const IntLanes score = select(is_unseen, unseen, rounded(sum, rounding));
    best = select(score > best, score, best);
    store(part, op.below + j, score);
  });
  int32_t lanes[kLanes], largest = -(1 << 30);
  store(lanes, best);
  for (int lane = 0; lane < kLanes; ++lane) largest = lanes[lane] > largest ? lanes[lane] : largest;
  for_lanes(op.keys, [&](int64_t j, auto part) {
    store(part, op.below + j, clipped(splat_int(largest) - load(part, op.below + j), 0, last));
  });
}

// x / 2^shift to the nearest integer, ties to even.
HB_INLINE int64_t round_shift(int64_t x, int shift) {
  const uint64_t is_odd = (static_cast<uint64_t>(x) >> shift) & 1;
  return static_cast<int64_t>(static_cast<uint64_t>(x) + ((uint64_t{1} << (shift - 1)) - 1) + is_odd) >>
         shift;
}

HB_INLINE int64_t wide_score(const IntegerWeights& op, const int32_t* content, const int32_t* position,
                             int64_t j) {
  constexpr int64_t kUnseen = -(int64_t{1} << 61);
  const int64_t sum = static_cast<int64_t>(content[j]) * op.content_multiplier +
                      static_cast<int64_t>(position[j]) * op.position_multiplier;
  return op.valid[j] != 0 ? round_shift(sum, op.shift) : kUnseen;
}

// The same where scores may have 54 bits.
HB_INLINE void wide_distances_below(const IntegerWeights& op, const int32_t* content, const int32_t* position,
                                    int32_t last) {
  int64_t largest = wide_score(op, content, position, 0);
  for (int64_t j = 1; j < op.keys; ++j) {
    const int64_t score = wide_score(op, content, position, j);
    largest = score > largest ? score : largest;
  }
  for (int64_t j = 0; j < op.keys; ++j) {
    const int64_t below = largest - wide_score(op, content, position, j);
    op.below[j] = below < last ? static_cast<int32_t>(below) : last;
  }
}

void attention_weights(const IntegerWeights& of) {
  const IntegerWeights op = of;  // no store changes it
  const auto last = static_cast<int32_t>(op.num_exponentials - 1);
  for (int64_t i = 0; i < op.queries; ++i) {
    const int32_t* content = op.content + i * op.keys;
    const int32_t* position = op.position + i * op.position_stride + op.first - i;
    op.shift >= 32 ? distances_below(op, content, position, last)
                   : wide_distances_below(op, content, position, last);
    int8_t* weights = op.weights + i * op.stride;
    int32_t total = 0;
    for (int64_t j = 0; j < op.keys; ++j) {
      const int8_t weight = op.exponentials[op.below[j]];
      weights[j] = weight > 0 ? weight : 0;
      total += weights[j];
    }
    std::memset(weights + op.keys, 0, op.stride - op.keys);
    op.totals[i] = total;
  }
}

void attention_mean(const IntegerMean& op) {
  constexpr int kLowerBits = 31;  // of the factor, which has 32 in a model and 38 in a hostile file
  const Rounding rounding(op.shift + 7);
  for (int64_t i = 0; i < op.queries; ++i) {
    const int64_t factor = (static_cast<int64_t>(op.multiplier) << 7) / (op.totals[i] > 0 ? op.totals[i] : 1);
    const IntLanes lower = splat_int(static_cast<int32_t>(factor & 0x7fffffff));
    const IntLanes upper = splat_int(static_cast<int32_t>(factor >> kLowerBits));
    for_lanes(op.width, [&](int64_t k, auto part) {
      const IntLanes sums = load(part, op.context + i * op.width + k);
      const auto product = products(sums, lower) + (products(sums, upper) << kLowerBits);
      store_codes(part, op.out + i * op.stride + k, clipped(rounded(product, rounding), -127, 127));
    });
  }
}

}  // namespace
}  // namespace halfbyte
