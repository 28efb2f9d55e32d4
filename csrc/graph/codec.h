// How the codes of a quantised layer are stored, and which kernels multiply them: a table with one row for
// each type of tensor that holds codes. Whatever reads or multiplies codes asks here.
#pragma once
#include <cstdint>

#include "graph/tensor.h"
#include "kernels/kernels.h"
#include "kernels/packing.h"

namespace halfbyte {

using WeightOnlyKernel = void (*)(const LinearW4A32&);

struct Codec {
  DType dtype;
  const char* name;  // of that type
  int bits;          // of a code
  // Bytes of codes (N, K). Whole tiles of kTileOutputs outputs lie one after the other.
  std::int64_t (*num_bytes)(std::int64_t n, std::int64_t k);
  // Most inputs whose sums fit int32 for sure, with activations of so many bits.
  std::int64_t (*largest_k)(int act_bits);
  // The product with codes of activations; nullptr where there is none for so many bits.
  LinearKernel (*linear)(const Kernels& kernels, int act_bits);
  // The product with float activations; nullptr where there is none.
  WeightOnlyKernel (*weight_only)(const Kernels& kernels);
  // Rows of a table, as `embedding` of kernels/packing.h, whatever table.bits says.
  void (*rows)(EmbeddingTable table, const std::int64_t* ids, std::int64_t count, float* out);
};

// nullptr for types that hold no codes.
const Codec* find_codec(DType dtype);

}  // namespace halfbyte
