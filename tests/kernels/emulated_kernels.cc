// Runs the AVX-VNNI and AMX kernels on a CPU that has neither, against the portable ones: AVX-VNNI's
// instruction in its AVX-512 encoding, AMX's in plain C++. Needs AVX-512 VNNI. Prints one line per kernel;
// exit status 1 if a bit differs. test_emulated_kernels.py builds and runs it.
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "kernels/generic/float_table.h"
#include "kernels/reference/linear_portable.h"

#if defined(TEST_AMX)
#include "kernels/x86/linear_amx.h"
#define TESTED halfbyte::BlockAmx
#else
#include "kernels/x86/linear_avxvnni.h"
#define TESTED halfbyte::BlockAvxvnni
#endif

using namespace halfbyte;

namespace {

struct Case {
  int64_t rows, n, k;
};
constexpr Case kCases[] = {{1, 16, 8},     {3, 17, 33},    {6, 48, 64},   {7, 31, 65},
                           {12, 80, 129},  {16, 64, 512},  {17, 33, 200}, {33, 16, 72},
                           {64, 40, 1030}, {70, 96, 2100}, {130, 20, 96}};

int8_t code_of(int bits) {
  if (bits == 1) return std::rand() & 64 ? 1 : -1;
  return static_cast<int8_t>((std::rand() >> 4) % (1 << bits) - (1 << (bits - 1)));
}

bool is_equal(int bits, const Case& c, LinearKernel tested, LinearKernel reference) {
  std::vector<int8_t> weights(c.n * c.k), codes(c.rows * padded_codes(c.k));
  for (int8_t& code : weights) code = code_of(bits);
  for (int64_t row = 0; row < c.rows; ++row)
    for (int64_t i = 0; i < c.k; ++i) codes[row * padded_codes(c.k) + i] = code_of(8);
  std::vector<uint8_t> packed(packed_bytes(bits, c.n, c.k));
  pack_codes(bits, weights.data(), c.n, c.k, packed.data());
  std::vector<int32_t> sums(c.rows * c.n, -1), expected(c.rows * c.n, -2);
  const CodeRows x{c.rows, c.k, codes.data(), padded_codes(c.k), nullptr};
  Epilogue epilogue{nullptr, nullptr, nullptr, c.n};
  epilogue.sums = sums.data();
  tested({x, packed.data(), c.n}, epilogue);
  epilogue.sums = expected.data();
  reference({x, packed.data(), c.n}, epilogue);
  return sums == expected;
}

}  // namespace

int main() {
  const IntegerKernels tested = integer_kernels<TESTED>(), reference = integer_kernels<BlockPortable>();
  bool all_equal = true;
  for (int bits = 1; bits <= kMaxWeightBits; ++bits)
    for (const Case& c : kCases) {
      if (is_equal(bits, c, tested.linear[bits], reference.linear[bits])) continue;
      all_equal = false;
      std::printf("w%d: %d rows, %d outputs, %d inputs differ\n", bits, static_cast<int>(c.rows),
                  static_cast<int>(c.n), static_cast<int>(c.k));
    }
  std::printf("%s\n", all_equal ? "equal" : "different");
  return all_equal ? 0 : 1;
}
