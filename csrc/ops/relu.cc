#include "ops/shared/unary.h"

namespace halfbyte::ops {

extern const OpDefinition op_relu{"Relu", "f>f", plan_kernel<&Kernels::relu>};

}  // namespace halfbyte::ops
