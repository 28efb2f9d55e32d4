// Integer-only arithmetic, 16 elements at a time; see kernels/integer_only.h.
#pragma once
#include "kernels/generic/functions.h"
#include "kernels/generic/integer_attention.h"
#include "kernels/generic/integer_epilogue.h"
#include "kernels/generic/integer_norm.h"

namespace halfbyte {
namespace {

HB_INLINE Lanes clipped_lanes(Lanes x, float low, float high) {
  x = select(x > splat(high), splat(high), x);
  return select(x < splat(low), splat(low), x);
}

bool feature_codes(const FeatureCodes& op) {
  const IntLanes magnitude = splat_int(0x7fffffff), largest_finite = splat_int(0x7f7fffff);
  IntLanes beyond = splat_int(0);  // -1 where a number was not finite
  for (int64_t row = 0; row < op.rows; ++row)
    for_lanes(op.f, [&](int64_t f, auto part) {
      const int64_t at = row * op.f + f;
      const Lanes scaled = (load(part, op.x + at) - load(part, op.mean + f)) * load(part, op.factor + f);
      const IntLanes is_beyond = (as_int(scaled) & magnitude) > largest_finite;
      beyond = select(is_beyond, is_beyond, beyond);
      const Lanes rounded = clipped_lanes(scaled, -127.0f, 127.0f) + splat(kRound);
      store_codes(part, op.out + at, as_int(rounded) - as_int(splat(kRound)));
    });
  int32_t lanes[kLanes], any = 0;
  store(lanes, beyond);
  for (int lane = 0; lane < kLanes; ++lane) any |= lanes[lane];
  return any == 0;
}

template <class T>
HB_INLINE void numbers(const T* codes, float scale, int64_t count, float* out) {
  for_lanes(count, [&](int64_t i, auto part) {
    store(part, out + i, to_float(load_codes(part, codes + i)) * splat(scale));
  });
}

void numbers_i8(const int8_t* codes, float scale, int64_t count, float* out) {
  numbers(codes, scale, count, out);
}
void numbers_i16(const int16_t* codes, float scale, int64_t count, float* out) {
  numbers(codes, scale, count, out);
}

// Calls store(part, at, y) for 16 rescaled elements after another.
template <class Store>
HB_INLINE void rescale_rows(const Rescale& op, Store store) {
  const Rounding rounding(op.shift);
  for (int64_t row = 0; row < op.rows; ++row)
    for_lanes(op.n, [&](int64_t n, auto part) {
      const int64_t at = row * op.n + n;
      store(part, at, rescaled(load(part, op.acc + at), load(part, op.multipliers + n), rounding));
    });
}

void rescale_i8_rows(const Rescale& op, int32_t low, int8_t* out) {
  rescale_rows(op,
               [=](auto part, int64_t at, IntLanes y) { store_codes(part, out + at, clipped(y, low, 127)); });
}

void rescale_i16_rows(const Rescale& op, const int16_t* residual, int16_t* out) {
  rescale_rows(op, [=](auto part, int64_t at, IntLanes y) {
    store_wide(part, residual != nullptr ? residual + at : nullptr, y, out + at);
  });
}

void table_bytes(const int8_t* x, int64_t count, const int8_t* entries, int8_t* out) {
  apply_table(x, count, entries, out);
}

HB_INLINE IntLanes gates_of(const int16_t* gates, All, const int8_t* x) {
  int32_t opened[kLanes];
  for (int i = 0; i < kLanes; ++i) opened[i] = gates[x[i] + 128];
  return load(opened);
}
HB_INLINE IntLanes gates_of(const int16_t* gates, First part, const int8_t* x) {
  int32_t opened[kLanes] = {};
  for (int64_t i = 0; i < part.count; ++i) opened[i] = gates[x[i] + 128];
  return load(opened);
}

void integer_glu(const IntegerGlu& glu) {
  const IntegerGlu op = glu;  // no store changes it
  const Rounding rounding(op.shift);
  for (int64_t row = 0; row < op.rows; ++row)
    for_lanes(op.d, [&](int64_t d, auto part) {
      const int8_t* x = op.x + row * 2 * op.d + d;
      const IntLanes gated = load_codes(part, x) * gates_of(op.gates, part, x + op.d);
      const IntLanes y = rescaled(gated, splat_int(op.multiplier), rounding);
      store_codes(part, op.out + row * op.d + d, clipped(y, -127, 127));
    });
}

// Calls store(part, at, acc, d) for the sums of 16 columns after another.
template <class Store>
HB_INLINE void depthwise_rows(const IntegerDepthwise op, Store store) {  // a copy: no store changes it
  for_lanes(op.d, [&](int64_t d, auto part) {
    for (int64_t t = 0; t < op.frames; ++t) {
      IntLanes acc = load(part, op.bias + d);
      for (int64_t k = 0; k < op.taps; ++k)
        acc = acc + load_codes(part, op.x + (t + k) * op.d + d) * load_codes(part, op.weight + k * op.d + d);
      store(part, t * op.d + d, acc, d);
    }
  });
}

void integer_depthwise(const IntegerDepthwise& op, int32_t* out) {
  depthwise_rows(op,
                 [=](auto part, int64_t at, IntLanes acc, int64_t) { halfbyte::store(part, out + at, acc); });
}

void integer_depthwise_i16(const IntegerDepthwise& op, const int32_t* multipliers, int shift, int16_t* out) {
  const Rounding rounding(shift);
  depthwise_rows(op, [=](auto part, int64_t at, IntLanes acc, int64_t d) {
    store_wide(part, nullptr, rescaled(acc, load(part, multipliers + d), rounding), out + at);
  });
}

constexpr IntegerOnly kIntegerOnly = {
    feature_codes,         numbers_i8,        numbers_i16,        rescale_i8_rows,     rescale_i16_rows,
    table_bytes,           integer_glu,       layer_norm_i8_rows, layer_norm_i16_rows, integer_depthwise,
    integer_depthwise_i16, attention_weights, attention_mean};

}  // namespace
}  // namespace halfbyte
