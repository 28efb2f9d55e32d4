// Inputs that are the same on every machine, and digests of what kernels make of them.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "graph/crc32.h"

namespace halfbyte {

enum class Fill { kRandom, kLowest, kHighest, kZeros };
constexpr const char* kFillNames[] = {"random", "lowest", "highest", "zeros"};

// The same numbers on every machine (Knuth's 64-bit linear congruential generator).
class Numbers {
 public:
  explicit Numbers(uint64_t seed) : state_(seed * 2862933555777941757u + 3037000493u) {}

  uint32_t bits() {
    state_ = state_ * 6364136223846793005u + 1442695040888963407u;
    return static_cast<uint32_t>(state_ >> 33);
  }
  int between(int low, int high) {
    return low + static_cast<int>(bits() % static_cast<uint32_t>(high - low + 1));
  }
  // Multiples of 2^-16 in -8..8.
  float real() { return static_cast<float>(between(-(1 << 19), 1 << 19)) * 0x1p-16f; }
  std::vector<float> reals(size_t count) {
    std::vector<float> values(count);
    for (float& value : values) value = real();
    return values;
  }
  std::vector<int32_t> integers(size_t count) {
    std::vector<int32_t> values(count);
    for (int32_t& value : values) value = static_cast<int32_t>(bits() << 1 | (bits() & 1));
    return values;
  }
  std::vector<int16_t> wide_codes(size_t count) {
    std::vector<int16_t> values(count);
    for (int16_t& value : values) value = static_cast<int16_t>(between(-32767, 32767));
    return values;
  }
  std::vector<int8_t> codes(size_t count, int low, int high, Fill fill) {
    std::vector<int8_t> values(count);
    for (int8_t& value : values)
      value = static_cast<int8_t>(fill == Fill::kRandom    ? between(low, high)
                                  : fill == Fill::kLowest  ? low
                                  : fill == Fill::kHighest ? high
                                                           : 0);
    return values;
  }

 private:
  uint64_t state_;
};

// A digest of results so far. Which NaN comes out is not specified, so all count as one.
class Digest {
 public:
  void add(std::vector<float> values) {
    for (float& value : values)
      if (std::isnan(value)) value = std::numeric_limits<float>::quiet_NaN();
    add_bytes(values.data(), values.size() * sizeof(float));
  }
  void add_bytes(const void* bytes, size_t num_bytes) {
    std::vector<uint8_t> both(sizeof value_ + num_bytes);
    std::memcpy(both.data(), &value_, sizeof value_);
    if (num_bytes > 0) std::memcpy(both.data() + sizeof value_, bytes, num_bytes);
    value_ = crc32(both.data(), both.size());
  }
  void print(const std::string& name) const { std::printf("%s %08x\n", name.c_str(), value_); }

 private:
  uint32_t value_ = 0;
};

}  // namespace halfbyte
