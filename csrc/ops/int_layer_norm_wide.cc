#include "ops/shared/integer_norm.h"

namespace halfbyte::ops {

static RunFunction plan(NodePlanner& node) {
  return normalising(layer_norm_of(node), false, node.kernels().integer_only.layer_norm_i16);
}

extern const OpDefinition op_int_layer_norm_wide{"IntLayerNormWide", "swi>s", plan};

}  // namespace halfbyte::ops
