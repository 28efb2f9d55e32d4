#include "ops/shared/unary.h"

namespace halfbyte::ops {

extern const OpDefinition op_exp{"Exp", "f>f", plan_kernel<&Kernels::exp>};

}  // namespace halfbyte::ops
