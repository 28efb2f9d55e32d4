// The table for CPUs with AVX2.
#include "kernels/generic/float_table.h"
#include "kernels/variants.h"
#include "kernels/x86/gemm_int_avx2.h"

namespace halfbyte {

constexpr Kernels kTable = make_kernels("avx2", {gemm_w4a8_4x16_avx2, gemm_w8a8_2x16_avx2,
                                                 gemm_w4_int32_4x16_avx2, gemm_w8_int32_2x16_avx2});
const Kernels kKernelsAvx2 = kTable;

}  // namespace halfbyte
