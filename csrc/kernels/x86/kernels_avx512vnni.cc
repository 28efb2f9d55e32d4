// The table for CPUs with AVX-512 F, BW, VL, DQ and VNNI.
#include "kernels/generic/float_table.h"
#include "kernels/x86/linear_avx512vnni.h"
#include "kernels/variants.h"

namespace halfbyte {

constexpr Kernels kTable = make_kernels("avx512vnni", integer_kernels<BlockAvx512vnni>(spin_avx512vnni));
const Kernels kKernelsAvx512vnni = kTable;

}  // namespace halfbyte
