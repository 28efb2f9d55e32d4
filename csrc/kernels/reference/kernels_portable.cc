// The table of baseline C++: runs on any CPU, and says what the bits are.
#include "kernels/generic/float_table.h"
#include "kernels/reference/linear_portable.h"
#include "kernels/variants.h"

namespace halfbyte {

constexpr Kernels kTable = make_kernels("portable", integer_kernels<BlockPortable>());
const Kernels kKernelsPortable = kTable;

}  // namespace halfbyte
