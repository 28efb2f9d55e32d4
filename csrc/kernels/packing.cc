#include "kernels/packing.h"

#include <algorithm>
#include <cstring>
#include <string>

#include "error.h"

namespace halfbyte {
namespace {

void check_bits(int bits) {
  if (bits < 1 || bits > kMaxWeightBits)
    throw Error(ErrorKind::kUsage, "weights have " + std::to_string(bits) + " bits; expected 1 to 8");
}

bool fits(int bits, int code) {
  if (bits == 1) return code == 1 || code == -1;
  return code >= -(1 << (bits - 1)) && code < 1 << (bits - 1);
}

std::string range_of(int bits) {
  if (bits == 1) return "are -1 and 1";
  const int edge = 1 << (bits - 1);
  return "lie in -" + std::to_string(edge) + ".." + std::to_string(edge - 1);
}

// Eight codes at a time: a code fits where its bits from the sign bit of `bits` bits up are all equal.
bool all_fit(int bits, const int8_t* codes, int64_t count) {
  int64_t i = 0;
  std::uint64_t differing = 0;
  const std::uint64_t mask = 0x0101010101010101u * ((0xffu << bits) & 0xffu);
  if (bits > 1)
    for (; i + 8 <= count; i += 8) {
      std::uint64_t eight;
      std::memcpy(&eight, codes + i, sizeof eight);
      differing |= (eight ^ eight << 1) & mask;
    }
  for (; i < count; ++i) differing |= !fits(bits, codes[i]);
  return differing == 0;
}

void check_codes(int bits, const int8_t* codes, int64_t count) {
  if (all_fit(bits, codes, count)) return;
  for (int64_t i = 0; i < count; ++i)
    if (!fits(bits, codes[i]))
      throw Error(ErrorKind::kInput, "weight code " + std::to_string(codes[i]) + " is out of range; " +
                                         std::to_string(bits) + "-bit codes " + range_of(bits) +
                                         ", so quantise first");
}

// The bits of a code as they are stored, and back.
unsigned stored(int bits, int8_t code) {
  return bits == 1 ? code > 0 : static_cast<uint8_t>(code) & ((1u << bits) - 1);
}
int8_t read_code(int bits, unsigned value) {
  if (bits == 1) return value ? 1 : -1;
  const int sign = 1 << (bits - 1);
  return static_cast<int8_t>((static_cast<int>(value) ^ sign) - sign);
}

// Calls each(byte, shift, mask, place) for every plane: bits [place, place + width) of the code of output n,
// input k lie at `shift` of that packed byte.
template <class Each>
void each_plane(int bits, int64_t units, int64_t n, int64_t k, Each each) {
  const int64_t in_unit = k % unit_inputs(bits), block = in_unit / kBlockInputs;
  int64_t byte = ((n / kTileOutputs) * units + k / unit_inputs(bits)) * unit_bytes(bits) +
                 (n % kTileOutputs) * kBlockInputs + k % kBlockInputs;
  if (bits == 8) return each(byte, 0, 255u, 0);
  int place = 0;
  for (int width = 4; width > 0; width /= 2) {
    if (!(bits & width)) continue;
    const int64_t per_group = 8 / width;
    each(byte + block / per_group * kGroupBytes, static_cast<int>(block % per_group) * width,
         (1u << width) - 1, place);
    byte += unit_inputs(bits) / (kBlockInputs * per_group) * kGroupBytes;
    place += width;
  }
}

int8_t code_at(int bits, const uint8_t* packed, int64_t units, int64_t n, int64_t k) {
  unsigned value = 0;
  each_plane(bits, units, n, k, [&](int64_t byte, int shift, unsigned mask, int place) {
    value |= ((packed[byte] >> shift) & mask) << place;
  });
  return read_code(bits, value);
}

// One output's codes, to the bytes of that output in each group; `first` is its place in group 0. Training
// packs 4 and 8 bits in every step, so these have a way of their own.
void pack_row_w8(const int8_t* codes, int64_t k, uint8_t* first) {
  for (int64_t col = 0; col < k; col += kBlockInputs)
    std::memcpy(first + col / kBlockInputs * kGroupBytes, codes + col, std::min(kBlockInputs, k - col));
}

void pack_row_w4(const int8_t* codes, int64_t k, uint8_t* first) {
  for (int64_t col = 0; col < k; col += 2 * kBlockInputs) {
    uint32_t pair[2] = {};  // four codes each, byte by byte
    if (k - col >= 2 * kBlockInputs)
      std::memcpy(pair, codes + col, sizeof pair);
    else
      std::memcpy(pair, codes + col, k - col);
    const uint32_t bytes = (pair[0] & 0x0f0f0f0fu) | (pair[1] & 0x0f0f0f0fu) << 4;
    std::memcpy(first + col / (2 * kBlockInputs) * kGroupBytes, &bytes, sizeof bytes);
  }
}

void pack_row(int bits, const int8_t* codes, int64_t n, int64_t k, uint8_t* packed) {
  for (int64_t col = 0; col < k; ++col) {
    const unsigned value = stored(bits, codes[col]);
    each_plane(bits, units_of(bits, k), n, col, [&](int64_t byte, int shift, unsigned mask, int place) {
      packed[byte] = static_cast<uint8_t>(packed[byte] | ((value >> place) & mask) << shift);
    });
  }
}

}  // namespace

void pack_codes(int bits, const int8_t* codes, int64_t n, int64_t k, uint8_t* packed) {
  check_bits(bits);
  if (bits < 8) check_codes(bits, codes, n * k);
  std::memset(packed, 0, packed_bytes(bits, n, k));
  const int64_t tile_bytes = units_of(bits, k) * unit_bytes(bits);
  for (int64_t row = 0; row < n; ++row) {
    const int8_t* from = codes + row * k;
    uint8_t* first = packed + (row / kTileOutputs) * tile_bytes + (row % kTileOutputs) * kBlockInputs;
    if (bits == 4)
      pack_row_w4(from, k, first);
    else if (bits == 8)
      pack_row_w8(from, k, first);
    else
      pack_row(bits, from, row, k, packed);
  }
}

void unpack_codes(int bits, const uint8_t* packed, int64_t n, int64_t k, int8_t* codes) {
  check_bits(bits);
  const int64_t units = units_of(bits, k);
  for (int64_t row = 0; row < n; ++row)
    for (int64_t col = 0; col < k; ++col) codes[row * k + col] = code_at(bits, packed, units, row, col);
}

void embedding(const EmbeddingTable& table, const int64_t* ids, int64_t count, float* out) {
  check_bits(table.bits);
  const int64_t units = units_of(table.bits, table.d);
  for (int64_t i = 0; i < count; ++i) {
    const int64_t id = ids[i];
    if (id < 0 || id >= table.v)
      throw Error(ErrorKind::kInput, "token id " + std::to_string(id) + " is out of range; expected 0.." +
                                         std::to_string(table.v - 1));
    for (int64_t d = 0; d < table.d; ++d)
      out[i * table.d + d] =
          static_cast<float>(code_at(table.bits, table.packed, units, id, d)) * table.scales[id];
  }
}

}  // namespace halfbyte
