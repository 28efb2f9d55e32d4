#include "ops/shared/unary.h"

namespace halfbyte::ops {

extern const OpDefinition op_sigmoid{"Sigmoid", "f>f", plan_kernel<&Kernels::sigmoid>};

}  // namespace halfbyte::ops
