// The table for avx512vnni.
#include "kernels/generic/float_table.h"
#include "kernels/reference/gemm_int_portable.h"
#include "kernels/variants.h"

namespace halfbyte {

constexpr Kernels kTable = make_kernels(
    "avx512vnni", {gemm_w4a8_8x16_portable, gemm_w8a8_8x16_portable, gemm_w4_int32_8x16_portable,
                 gemm_w8_int32_8x16_portable});
const Kernels kKernelsAvx512vnni = kTable;

}  // namespace halfbyte
