#include "graph/codec.h"

namespace halfbyte {
namespace {

// Codes at even distances, in planes of bits (kernels/packing.h).
template <int kBits>
constexpr Codec uniform(DType dtype, const char* name) {
  return {
      dtype,
      name,
      kBits,
      [](std::int64_t n, std::int64_t k) { return packed_bytes(kBits, n, k); },
      [](int act_bits) { return halfbyte::largest_k(kBits, act_bits); },
      [](const Kernels& kernels, int act_bits) { return find_linear(kernels, kBits, act_bits); },
      [](const Kernels& kernels) { return kBits == 4 ? kernels.linear_w4a32 : nullptr; },
      [](EmbeddingTable table, const std::int64_t* ids, std::int64_t count, float* out) {
        table.bits = kBits;
        embedding(table, ids, count, out);
      },
  };
}

constexpr Codec kCodecs[] = {
    uniform<1>(DType::kPacked1, "packed1"), uniform<2>(DType::kPacked2, "packed2"),
    uniform<3>(DType::kPacked3, "packed3"), uniform<4>(DType::kPacked4, "packed4"),
    uniform<5>(DType::kPacked5, "packed5"), uniform<6>(DType::kPacked6, "packed6"),
    uniform<7>(DType::kPacked7, "packed7"), uniform<8>(DType::kPacked8, "packed8"),
};

}  // namespace

const Codec* find_codec(DType dtype) {
  for (const Codec& codec : kCodecs)
    if (codec.dtype == dtype) return &codec;
  return nullptr;
}

}  // namespace halfbyte
