// Packed weights between Python and the kernels.
#pragma once
#include <memory>
#include <new>
#include <string>

#include "kernels/kernels.h"
#include "python/kernel_arrays.h"

namespace halfbyte::python {

// Largest activation code; throws kUsage for bits that the kernels do not know.
inline int edge_of(int act_bits) {
  if (act_bits != 4 && act_bits != 8)
    throw Error(ErrorKind::kUsage, "activations have " + std::to_string(act_bits) + " bits; expected 4 or 8");
  return act_bits == 8 ? 127 : 7;
}

inline void check_weights(int bits, int act_bits, int64_t n, int64_t k, int64_t bytes) {
  if (bits < 1 || bits > kMaxWeightBits)
    throw Error(ErrorKind::kUsage, "weights have " + std::to_string(bits) + " bits; expected 1 to 8");
  if (k > largest_k(bits, act_bits))
    throw Error(ErrorKind::kUsage, "a layer has " + std::to_string(k) +
                                       " inputs; int32 sums may overflow above " +
                                       std::to_string(largest_k(bits, act_bits)));
  expect(bytes == packed_bytes(bits, n, k), "packed weights have another size than N and K need");
}

// Throws kUsage for bits that no kernel multiplies.
inline LinearKernel linear_kernel(const Kernels& kernels, int bits, int act_bits) {
  const LinearKernel kernel = find_linear(kernels, bits, act_bits);
  if (kernel == nullptr)
    throw Error(ErrorKind::kUsage, "a linear layer W" + std::to_string(bits) + "A" +
                                       std::to_string(act_bits) +
                                       " has no kernel; expected W1A8 to W8A8, or W4A4");
  return kernel;
}

// Packed weights at a 64-byte boundary.
struct AlignedDelete {
  void operator()(uint8_t* p) const { ::operator delete[](p, std::align_val_t{64}); }
};
using PackedBuffer = std::unique_ptr<uint8_t[], AlignedDelete>;

inline PackedBuffer new_packed(int64_t bytes) {
  return PackedBuffer(
      static_cast<uint8_t*>(::operator new[](static_cast<size_t>(bytes), std::align_val_t{64})));
}

}  // namespace halfbyte::python
