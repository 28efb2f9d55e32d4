#include "graph/crc32.h"

#include <array>
#include <cstring>

namespace halfbyte {
namespace {

// tables[j][b]: the remainder of byte b followed by j zero bytes ("slicing by 8").
using Tables = std::array<std::array<std::uint32_t, 256>, 8>;

Tables make_tables() {
  Tables tables{};
  for (std::uint32_t byte = 0; byte < 256; ++byte) {
    std::uint32_t rest = byte;
    for (int bit = 0; bit < 8; ++bit) rest = (rest >> 1) ^ (rest & 1 ? 0xEDB88320u : 0u);
    tables[0][byte] = rest;
  }
  for (int j = 1; j < 8; ++j)
    for (int byte = 0; byte < 256; ++byte)
      tables[j][byte] = (tables[j - 1][byte] >> 8) ^ tables[0][tables[j - 1][byte] & 0xFF];
  return tables;
}

}  // namespace

std::uint32_t crc32(const void* data, std::size_t num_bytes) {
  static const Tables tables = make_tables();
  const auto* bytes = static_cast<const std::uint8_t*>(data);
  std::uint32_t crc = 0xFFFFFFFFu;
  for (; num_bytes >= 8; num_bytes -= 8, bytes += 8) {
    std::uint32_t low, high;  // little-endian, as every machine that we build for
    std::memcpy(&low, bytes, 4);
    std::memcpy(&high, bytes + 4, 4);
    low ^= crc;
    crc = tables[7][low & 0xFF] ^ tables[6][low >> 8 & 0xFF] ^ tables[5][low >> 16 & 0xFF] ^
          tables[4][low >> 24] ^ tables[3][high & 0xFF] ^ tables[2][high >> 8 & 0xFF] ^
          tables[1][high >> 16 & 0xFF] ^ tables[0][high >> 24];
  }
  for (; num_bytes > 0; --num_bytes, ++bytes) crc = (crc >> 8) ^ tables[0][(crc ^ *bytes) & 0xFF];
  return ~crc;
}

}  // namespace halfbyte
