// Along the last axis.
#include "ops/shared/rows.h"

namespace halfbyte::ops {

extern const OpDefinition op_softmax{"Softmax", "f>f", plan_rows<&Kernels::softmax>};

}  // namespace halfbyte::ops
