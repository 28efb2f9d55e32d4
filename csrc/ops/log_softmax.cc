// Along the last axis.
#include "ops/shared/rows.h"

namespace halfbyte::ops {

extern const OpDefinition op_log_softmax{"LogSoftmax", "f>f", plan_rows<&Kernels::log_softmax>};

}  // namespace halfbyte::ops
