// The table for CPUs with AMX (tiles of int8), and all that avx512vnni needs.
#include "kernels/generic/float_table.h"
#include "kernels/variants.h"
#include "kernels/x86/linear_amx.h"

namespace halfbyte {

constexpr Kernels kTable = make_kernels("amx", integer_kernels<BlockAmx>(spin_amx));
const Kernels kKernelsAmx = kTable;

}  // namespace halfbyte
