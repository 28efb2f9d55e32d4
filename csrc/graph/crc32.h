#pragma once
#include <cstddef>
#include <cstdint>

namespace halfbyte {

// CRC-32 as in zlib and PNG: polynomial 0xEDB88320 (reflected), initial value and final xor all ones.
std::uint32_t crc32(const void* data, std::size_t num_bytes);

}  // namespace halfbyte
