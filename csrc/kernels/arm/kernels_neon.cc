// The table for every AArch64 CPU.
#include "kernels/arm/linear_neon.h"
#include "kernels/generic/float_table.h"
#include "kernels/variants.h"

namespace halfbyte {

constexpr Kernels kTable = make_kernels("neon", integer_kernels<BlockNeon>());
const Kernels kKernelsNeon = kTable;

}  // namespace halfbyte
