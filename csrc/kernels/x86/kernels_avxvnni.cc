// The table for CPUs with AVX2 and AVX-VNNI.
#include "kernels/generic/float_table.h"
#include "kernels/variants.h"
#include "kernels/x86/linear_avxvnni.h"

namespace halfbyte {

constexpr Kernels kTable = make_kernels("avxvnni", integer_kernels<BlockAvxvnni>(spin_avxvnni));
const Kernels kKernelsAvxvnni = kTable;

}  // namespace halfbyte
