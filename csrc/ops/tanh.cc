#include "ops/shared/unary.h"

namespace halfbyte::ops {

extern const OpDefinition op_tanh{"Tanh", "f>f", plan_kernel<&Kernels::tanh>};

}  // namespace halfbyte::ops
