#include "ops/shared/unary.h"

namespace halfbyte::ops {

extern const OpDefinition op_log{"Log", "f>f", plan_kernel<&Kernels::log>};

}  // namespace halfbyte::ops
