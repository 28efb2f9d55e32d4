#include "kernels/packing.h"

#include <algorithm>
#include <cstring>
#include <string>

#include "error.h"

namespace halfbyte {
namespace {

// Where one code lives: its byte, and which nibble of it (0 low, 4 high; 8-bit codes use 0).
struct Place {
  int64_t byte;
  int shift;
};

Place place_of(int bits, int64_t groups, int64_t n, int64_t k) {
  const int64_t block = k / kBlockInputs;
  const int64_t group = bits == 4 ? block / 2 : block;
  const int64_t tile = n / kTileOutputs;
  const int64_t inside = (n % kTileOutputs) * kBlockInputs + k % kBlockInputs;
  return {(tile * groups + group) * kGroupBytes + inside, bits == 4 && block % 2 ? 4 : 0};
}

void check_bits(int bits) {
  if (bits != 4 && bits != 8)
    throw Error(ErrorKind::kUsage,
                "weights of " + std::to_string(bits) + " bits came; packed weights have 4 or 8");
}

int8_t code_at(int bits, const uint8_t* packed, int64_t groups, int64_t n, int64_t k) {
  const Place place = place_of(bits, groups, n, k);
  const uint8_t byte = packed[place.byte];
  if (bits == 8) return static_cast<int8_t>(byte);
  return static_cast<int8_t>((((byte >> place.shift) & 15) ^ 8) - 8);
}

void check_nibbles(const int8_t* codes, int64_t count) {
  for (int64_t i = 0; i < count; ++i)
    if (codes[i] < -8 || codes[i] > 7)
      throw Error(ErrorKind::kInput, "weight code " + std::to_string(codes[i]) +
                                         " came; 4-bit codes lie in -8..7, so quantise first");
}

// One output's codes, to the bytes of that output in each group; `first` is its place in group 0.
void pack_row_w8(const int8_t* codes, int64_t k, uint8_t* first) {
  for (int64_t col = 0; col < k; col += kBlockInputs)
    std::memcpy(first + col / kBlockInputs * kGroupBytes, codes + col,
                std::min(kBlockInputs, k - col));
}

void pack_row_w4(const int8_t* codes, int64_t k, uint8_t* first) {
  for (int64_t col = 0; col < k; col += 2 * kBlockInputs) {
    int8_t pair[2 * kBlockInputs] = {};
    std::memcpy(pair, codes + col, std::min(2 * kBlockInputs, k - col));
    uint8_t* bytes = first + col / (2 * kBlockInputs) * kGroupBytes;
    for (int i = 0; i < kBlockInputs; ++i)
      bytes[i] = static_cast<uint8_t>((pair[i] & 15) | (pair[i + kBlockInputs] << 4));
  }
}

}  // namespace

void pack_codes(int bits, const int8_t* codes, int64_t n, int64_t k, uint8_t* packed) {
  check_bits(bits);
  if (bits == 4) check_nibbles(codes, n * k);
  const int64_t groups = groups_of(bits, k);
  std::memset(packed, 0, packed_bytes(bits, n, k));
  for (int64_t row = 0; row < n; ++row) {
    uint8_t* first = packed + (row / kTileOutputs) * groups * kGroupBytes +
                     (row % kTileOutputs) * kBlockInputs;
    if (bits == 4)
      pack_row_w4(codes + row * k, k, first);
    else
      pack_row_w8(codes + row * k, k, first);
  }
}

void unpack_codes(int bits, const uint8_t* packed, int64_t n, int64_t k, int8_t* codes) {
  check_bits(bits);
  const int64_t groups = groups_of(bits, k);
  for (int64_t row = 0; row < n; ++row)
    for (int64_t col = 0; col < k; ++col)
      codes[row * k + col] = code_at(bits, packed, groups, row, col);
}

void embedding(const EmbeddingTable& table, const int64_t* ids, int64_t count, float* out) {
  check_bits(table.bits);
  const int64_t groups = groups_of(table.bits, table.d);
  for (int64_t i = 0; i < count; ++i) {
    const int64_t id = ids[i];
    if (id < 0 || id >= table.v)
      throw Error(ErrorKind::kInput, "token id " + std::to_string(id) + " came; this table has ids 0.." +
                                         std::to_string(table.v - 1));
    for (int64_t d = 0; d < table.d; ++d)
      out[i * table.d + d] =
          static_cast<float>(code_at(table.bits, table.packed, groups, id, d)) * table.scales[id];
  }
}

}  // namespace halfbyte
