// The table of baseline C++: runs on any CPU, and says what the bits are.
#include "kernels/generic/float_table.h"
#include "kernels/reference/gemm_int_portable.h"
#include "kernels/variants.h"

namespace halfbyte {

constexpr Kernels kTable = make_kernels(
    "portable", {gemm_w4a8_8x16_portable, gemm_w8a8_8x16_portable, gemm_w4_int32_8x16_portable,
                 gemm_w8_int32_8x16_portable});
const Kernels kKernelsPortable = kTable;

}  // namespace halfbyte
