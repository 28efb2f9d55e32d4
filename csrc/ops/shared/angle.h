#pragma once
#include <cmath>
#include <limits>

#include "ops/shared/unary.h"
#include "specified_math.h"

namespace halfbyte::ops {

// Radians -> turns in units of 2^-40, for the sine and cosine that are the same on every machine.
constexpr std::int64_t kTurn = std::int64_t{1} << 40;
constexpr double kUnitsPerRadian = kTurn / 6.283185307179586476925286766559;

template <class Function>
RunFunction plan_angle(NodePlanner& node, Function of_turn) {
  return plan_elements<float, float>(node, [of_turn](float radians) {
    // Farther than this, neighbouring floats are turns apart.
    if (!(std::fabs(radians) < 0x1p20f)) return std::numeric_limits<float>::quiet_NaN();
    return static_cast<float>(of_turn(std::llrint(radians * kUnitsPerRadian), kTurn));
  });
}

}  // namespace halfbyte::ops
