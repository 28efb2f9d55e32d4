// The table for CPUs with AVX2.
#include "kernels/generic/float_table.h"
#include "kernels/x86/linear_avx2.h"
#include "kernels/variants.h"

namespace halfbyte {

constexpr Kernels kTable = make_kernels("avx2", integer_kernels<BlockAvx2>(spin_avx2));
const Kernels kKernelsAvx2 = kTable;

}  // namespace halfbyte
