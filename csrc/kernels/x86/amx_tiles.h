// The AMX instructions that linear_amx.h uses. HB_EMULATED_TILES, set by a test, puts plain C++ in their
// place, so that the kernel's logic runs on CPUs without AMX.
#pragma once
#include <immintrin.h>

#include <cstdint>
#include <cstring>

namespace halfbyte {
namespace {

// What LDTILECFG reads: rows and bytes per row of each tile.
struct alignas(64) TileConfig {
  uint8_t palette = 1;
  uint8_t start_row = 0;
  uint8_t reserved[14] = {};
  uint16_t row_bytes[16] = {};
  uint8_t rows[16] = {};
};
static_assert(sizeof(TileConfig) == 64, "the processor reads 64 bytes");

#if defined(HB_EMULATED_TILES)

TileConfig emulated_config;
uint8_t emulated_tiles[8][16][64];

inline void tile_configure(const TileConfig& config) {
  emulated_config = config;
  std::memset(emulated_tiles, 0, sizeof emulated_tiles);
}
inline void tile_release() {}
template <int kTile>
void tile_zero() {
  std::memset(emulated_tiles[kTile], 0, sizeof emulated_tiles[kTile]);
}
template <int kTile>
void tile_load(const void* from, int64_t stride_bytes) {
  tile_zero<kTile>();
  for (int row = 0; row < emulated_config.rows[kTile]; ++row)
    std::memcpy(emulated_tiles[kTile][row], static_cast<const char*>(from) + row * stride_bytes,
                emulated_config.row_bytes[kTile]);
}
template <int kTile>
void tile_store(void* to, int64_t stride_bytes) {
  for (int row = 0; row < emulated_config.rows[kTile]; ++row)
    std::memcpy(static_cast<char*>(to) + row * stride_bytes, emulated_tiles[kTile][row],
                emulated_config.row_bytes[kTile]);
}
template <int kSums, int kA, int kB>
void tile_dot() {
  for (int row = 0; row < emulated_config.rows[kSums]; ++row)
    for (int n = 0; n < emulated_config.row_bytes[kSums] / 4; ++n) {
      uint32_t sum;
      std::memcpy(&sum, &emulated_tiles[kSums][row][4 * n], 4);
      for (int k = 0; k < emulated_config.row_bytes[kA]; ++k)
        sum += static_cast<uint32_t>(static_cast<int8_t>(emulated_tiles[kA][row][k]) *
                                     static_cast<int8_t>(emulated_tiles[kB][k / 4][4 * n + k % 4]));
      std::memcpy(&emulated_tiles[kSums][row][4 * n], &sum, 4);
    }
}

#else

inline void tile_configure(const TileConfig& config) { _tile_loadconfig(&config); }
inline void tile_release() { _tile_release(); }
// The tile's number is part of the instruction, and the compiler's intrinsics take no template argument.
template <int kTile>
inline __attribute__((always_inline)) void tile_zero() {
  asm volatile("tilezero %%tmm%c0" : : "i"(kTile));
}
template <int kTile>
inline __attribute__((always_inline)) void tile_load(const void* from, int64_t stride_bytes) {
  asm volatile("tileloadd (%0,%1,1), %%tmm%c2" : : "r"(from), "r"(stride_bytes), "i"(kTile) : "memory");
}
template <int kTile>
inline __attribute__((always_inline)) void tile_store(void* to, int64_t stride_bytes) {
  asm volatile("tilestored %%tmm%c2, (%0,%1,1)" : : "r"(to), "r"(stride_bytes), "i"(kTile) : "memory");
}
// sums (rows, 16) int32 += a (rows, 64) int8 * b, whose row k holds inputs 4k.. of 16 outputs.
template <int kSums, int kA, int kB>
inline __attribute__((always_inline)) void tile_dot() {
  asm volatile("tdpbssd %%tmm%c2, %%tmm%c1, %%tmm%c0" : : "i"(kSums), "i"(kA), "i"(kB));
}

#endif

}  // namespace
}  // namespace halfbyte
