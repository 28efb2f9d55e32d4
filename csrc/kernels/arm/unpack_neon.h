// Packed codes to signed bytes in 128-bit registers: a quarter of a K block, four outputs x four inputs.
#pragma once
#include <arm_neon.h>

#include "kernels/kernels.h"

#include "kernels/generic/linear.h"

namespace halfbyte {
namespace {

HB_INLINE int8x16_t load16(const void* p) { return vld1q_s8(static_cast<const int8_t*>(p)); }

// Bits [kShift, kShift + kWidth) of each byte, at bits [kPlace, ...).
template <int kShift, int kWidth, int kPlace>
HB_INLINE uint8x16_t plane_neon(const uint8_t* group) {
  uint8x16_t bytes = vld1q_u8(group);
  if constexpr (kPlace > kShift) bytes = vshlq_n_u8(bytes, kPlace - kShift);
  if constexpr (kPlace < kShift) bytes = vshrq_n_u8(bytes, kShift - kPlace);
  return vandq_u8(bytes, vdupq_n_u8(((1 << kWidth) - 1) << kPlace));
}

// The kBits at kBits * kAt of each byte, signed.
template <int kBits, int kAt>
HB_INLINE int8x16_t signed_field(int8x16_t bytes) {
  constexpr int kLeft = 8 - kBits * (kAt + 1);
  if constexpr (kLeft > 0) bytes = vshlq_n_s8(bytes, kLeft);
  if constexpr (kBits < 8) bytes = vshrq_n_s8(bytes, 8 - kBits);
  return bytes;
}

// K block kBlock of the units from `unit` on, its outputs 4 * kQuarter..: byte [n * 4 + k].
template <int kBits, int kBlock, int kQuarter>
HB_INLINE int8x16_t block_neon(const uint8_t* unit) {
  constexpr int kBlocks = unit_inputs(kBits) / kBlockInputs;
  constexpr int kAt = kBlock % kBlocks;
  const uint8_t* group = unit + kBlock / kBlocks * unit_bytes(kBits) + kQuarter * 16;
  if constexpr (kBits == 8 || kBits == 4 || kBits == 2) return signed_field<kBits, kAt>(load16(group));
  if constexpr (kBits == 1) return vsubq_s8(vreinterpretq_s8_u8(plane_neon<kAt, 1, 1>(group)), vdupq_n_s8(1));
  uint8x16_t codes = vdupq_n_u8(0);
  if constexpr (kBits & 4) {
    codes = plane_neon<kAt % 2 * 4, 4, 0>(group + kAt / 2 * kGroupBytes);
    group += kBlocks / 2 * kGroupBytes;
  }
  if constexpr (kBits & 2) {
    codes = vorrq_u8(codes, plane_neon<kAt % 4 * 2, 2, kBits & 4>(group + kAt / 4 * kGroupBytes));
    group += kBlocks / 4 * kGroupBytes;
  }
  if constexpr (kBits & 1) codes = vorrq_u8(codes, plane_neon<kAt, 1, kBits & 6>(group));
  return signed_field<kBits, 0>(vreinterpretq_s8_u8(codes));
}

// Four codes of a row, in all lanes.
HB_INLINE int8x16_t broadcast4(const int8_t* codes) {
  int32_t word;
  std::memcpy(&word, codes, sizeof word);
  return vreinterpretq_s8_s32(vdupq_n_s32(word));
}

// Units that are taken together: whole 16 inputs, four K blocks.
template <int kBits>
constexpr int kUnitsAtOnce = unit_inputs(kBits) < 16 ? 16 / unit_inputs(kBits) : 1;

// Calls sums.add<first block, number of blocks>(codes, stride, unit) for all K blocks, four at a time; what
// is left of the units goes in blocks of one unit.
template <int kBits, int kFirst, int kEnd, class Sums>
HB_INLINE void add_blocks(Sums& sums, const int8_t* codes, int64_t stride, const uint8_t* unit) {
  constexpr int kCount = kEnd - kFirst < 4 ? kEnd - kFirst : 4;
  sums.template add<kFirst, kCount>(codes + kFirst * kBlockInputs, stride, unit);
  if constexpr (kFirst + kCount < kEnd) add_blocks<kBits, kFirst + kCount, kEnd>(sums, codes, stride, unit);
}

template <int kBits, class Sums>
HB_INLINE void add_units(Sums& sums, const BlockInput& in) {
  constexpr int kInputs = unit_inputs(kBits), kBlocks = kInputs / kBlockInputs;
  int64_t unit = 0;
  for (; unit + kUnitsAtOnce<kBits> <= in.units; unit += kUnitsAtOnce<kBits>)
    add_blocks<kBits, 0, kUnitsAtOnce<kBits> * kBlocks>(sums, in.codes + unit * kInputs, in.stride,
                                                        in.weights + unit * unit_bytes(kBits));
  for (; unit < in.units; ++unit)
    add_blocks<kBits, 0, kBlocks>(sums, in.codes + unit * kInputs, in.stride,
                                  in.weights + unit * unit_bytes(kBits));
}

// The sums of one tile: Sums<bits, rows> starts from zero, adds units and stores what it has.
template <int kBits, class Sums>
void accumulate_neon(const BlockInput& in, int32_t* acc) {
  Sums sums(in);
  add_units<kBits>(sums, in);
  sums.store(acc);
}

}  // namespace
}  // namespace halfbyte
