// Digests of every kernel's results over fixed inputs: equal lines mean equal bits.
#pragma once
#include <string>

namespace halfbyte {

// Prints a line per operation, width and filling of the inputs: "linear w4a8 random 1a2b3c4d".
void check_kernels(const std::string& isa);

// Prints a line per operation of integer-only models.
struct Kernels;
void check_integer_only(const Kernels& kernels);

// Prints "W4A8 rows ns" of a layer, for counting instructions under an emulator: runs a (rows, K) x (N, K)
// layer `repeats` times and nothing else worth counting.
void repeat_linear(const std::string& isa, int weight_bits, int rows, int n, int k, int repeats);

}  // namespace halfbyte
