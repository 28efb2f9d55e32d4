// The table for AArch64 CPUs with dot products (Armv8.2 FEAT_DotProd).
#include "kernels/arm/linear_neondot.h"
#include "kernels/generic/float_table.h"
#include "kernels/variants.h"

namespace halfbyte {

constexpr Kernels kTable = make_kernels("neondot", integer_kernels<BlockNeondot>());
const Kernels kKernelsNeondot = kTable;

}  // namespace halfbyte
