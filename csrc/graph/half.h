#pragma once
#include <cstdint>
#include <cstring>

namespace halfbyte {

// IEEE binary16 -> float32, exact (denormals, infinities and NaN included).
inline float float_from_half(std::uint16_t half) {
  const std::uint32_t sign = static_cast<std::uint32_t>(half & 0x8000u) << 16;
  const std::uint32_t exponent = half >> 10 & 0x1Fu, mantissa = half & 0x3FFu;
  std::uint32_t bits;
  if (exponent == 0) {
    const float magnitude = static_cast<float>(mantissa) * 0x1p-24f;
    std::memcpy(&bits, &magnitude, 4);
  } else {
    bits = (exponent == 31 ? 255u : exponent + 112u) << 23 | mantissa << 13;
  }
  bits |= sign;
  float value;
  std::memcpy(&value, &bits, 4);
  return value;
}

}  // namespace halfbyte
