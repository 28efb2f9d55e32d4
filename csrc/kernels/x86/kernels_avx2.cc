// The table for avx2.
#include "kernels/generic/float_table.h"
#include "kernels/reference/gemm_int_portable.h"
#include "kernels/variants.h"

namespace halfbyte {

constexpr Kernels kTable = make_kernels(
    "avx2", {gemm_w4a8_8x16_portable, gemm_w8a8_8x16_portable, gemm_w4_int32_8x16_portable,
                 gemm_w8_int32_8x16_portable});
const Kernels kKernelsAvx2 = kTable;

}  // namespace halfbyte
