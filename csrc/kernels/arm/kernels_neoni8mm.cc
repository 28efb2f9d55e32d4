// The table for AArch64 CPUs with matrix products of bytes (FEAT_I8MM).
#include "kernels/arm/linear_neoni8mm.h"
#include "kernels/generic/float_table.h"
#include "kernels/variants.h"

namespace halfbyte {

constexpr Kernels kTable = make_kernels("neoni8mm", integer_kernels<BlockNeoni8mm>());
const Kernels kKernelsNeoni8mm = kTable;

}  // namespace halfbyte
