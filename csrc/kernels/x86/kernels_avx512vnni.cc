// The table for CPUs with AVX-512 F, BW, VL, DQ and VNNI.
#include "kernels/generic/float_table.h"
#include "kernels/variants.h"
#include "kernels/x86/gemm_int_avx512vnni.h"

namespace halfbyte {

constexpr Kernels kTable = make_kernels(
    "avx512vnni", {gemm_w4a8_8x32_avx512vnni, gemm_w8a8_8x32_avx512vnni,
                   gemm_w4_int32_8x32_avx512vnni, gemm_w8_int32_8x32_avx512vnni});
const Kernels kKernelsAvx512vnni = kTable;

}  // namespace halfbyte
