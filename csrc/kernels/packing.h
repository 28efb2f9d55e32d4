// The packed weight layout: one for all instruction sets, so that a model file opens without copying.
//
// Tiles of 16 outputs; K blocks of 4 inputs; groups of 64 bytes, byte [n * 4 + k] of output n, input k of a
// block. A code of b bits is cut into planes of 4, 2 and 1 bits, the binary digits of b, lowest bits in
// the widest plane; 8 bits are one plane. A group of a plane of p bits holds 8 / p adjacent K blocks, the
// first in the lowest bits of each byte. A unit is the fewest inputs that fill whole groups of every plane;
// it holds its planes from wide to narrow, each plane's groups in ascending K. Units lie in the order:
// tile of outputs, then K.
//
//   bits  planes   inputs and groups of a unit
//   1     1        32, 1          5     4 1      32, 5
//   2     2        16, 1          6     4 2      16, 3
//   3     2 1      32, 3          7     4 2 1    32, 7
//   4     4         8, 1          8     8         4, 1
//
// Codes are two's complement: -2^(b-1)..2^(b-1)-1, of which quantisers leave out the lowest. One bit
// says +1 (set) or -1. N is padded to 16 and K to whole units, with zero bits. The start is 64-byte aligned.
#pragma once
#include <cstdint>

namespace halfbyte {

constexpr int64_t kTileOutputs = 16;
constexpr int64_t kBlockInputs = 4;
constexpr int64_t kGroupBytes = kTileOutputs * kBlockInputs;
constexpr int kMaxWeightBits = 8;

constexpr int64_t tiles_of(int64_t n) { return (n + kTileOutputs - 1) / kTileOutputs; }

constexpr int64_t unit_inputs(int bits) { return bits == 8 ? 4 : bits == 4 ? 8 : bits % 2 == 0 ? 16 : 32; }
constexpr int64_t unit_bytes(int bits) { return unit_inputs(bits) * kTileOutputs * bits / 8; }

// Units along K.
constexpr int64_t units_of(int bits, int64_t k) { return (k + unit_inputs(bits) - 1) / unit_inputs(bits); }

constexpr int64_t packed_bytes(int bits, int64_t n, int64_t k) {
  return tiles_of(n) * units_of(bits, k) * unit_bytes(bits);
}

// codes (N, K) int8 row-major -> packed, packed_bytes(bits, n, k) bytes. bits is 1..8, or throws kUsage. A
// code that does not fit them throws kInput; one bit takes -1 and 1 alone.
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
