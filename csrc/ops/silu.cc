// x * sigmoid(x)
#include "ops/shared/unary.h"

namespace halfbyte::ops {

extern const OpDefinition op_silu{"Silu", "f>f", plan_kernel<&Kernels::silu>};

}  // namespace halfbyte::ops
