// The packed weight layout: one for all instruction sets, so that a model file opens without copying.
//
// Tiles of 16 outputs x 4 inputs, 64 bytes each group, groups in the order: tile of outputs, then K.
//   8 bit: a group is one K block: byte [n * 4 + k] is the code of output n, input 4 * block + k.
//   4 bit: a group is two adjacent K blocks 2j and 2j + 1: the low nibble of byte [n * 4 + k] belongs to
//          block 2j, the high nibble to block 2j + 1; nibbles are two's complement.
// N is padded to 16 and K to 8 (4 bit) or 4 (8 bit) with zero codes. The start is 64-byte aligned.
// Codes: -8..7 (4 bit), -128..127 (8 bit); quantisers write -7..7 and -127..127.
#pragma once
#include <cstdint>

namespace halfbyte {

constexpr int64_t kTileOutputs = 16;
constexpr int64_t kBlockInputs = 4;
constexpr int64_t kGroupBytes = kTileOutputs * kBlockInputs;

constexpr int64_t tiles_of(int64_t n) { return (n + kTileOutputs - 1) / kTileOutputs; }

// Groups of 64 bytes along K.
constexpr int64_t groups_of(int bits, int64_t k) {
  return bits == 4 ? (k + 7) / 8 : (k + kBlockInputs - 1) / kBlockInputs;
}

constexpr int64_t packed_bytes(int bits, int64_t n, int64_t k) {
  return tiles_of(n) * groups_of(bits, k) * kGroupBytes;
}

// codes (N, K) int8 row-major -> packed, packed_bytes(bits, n, k) bytes. bits is 4 or 8. For 4 bits a code
// outside -8..7 is refused: throws kInput. Any other `bits` throws kUsage.
void pack_codes(int bits, const int8_t* codes, int64_t n, int64_t k, uint8_t* packed);

// The inverse: packed -> codes (N, K) int8 row-major.
void unpack_codes(int bits, const uint8_t* packed, int64_t n, int64_t k, int8_t* codes);

// Rows of a packed table (V, D): out[i][d] = float(code[ids[i]][d]) * scales[ids[i]].
// ids (count) int64 in 0..V-1, else throws kInput; scales (V) float32; out (count, D) contiguous.
struct EmbeddingTable {
  int bits;
  int64_t v, d;
  const uint8_t* packed;
  const float* scales;
};
void embedding(const EmbeddingTable& table, const int64_t* ids, int64_t count, float* out);

}  // namespace halfbyte
