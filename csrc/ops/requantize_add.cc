#include "ops/shared/requantize_wide.h"

namespace halfbyte::ops {

extern const OpDefinition op_requantize_add{"RequantizeAdd", "wws>s", plan_requantize_wide};

}  // namespace halfbyte::ops
