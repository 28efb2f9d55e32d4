// Its activation, an IntTable, may be joined to it.
#include "ops/shared/integer_norm.h"

namespace halfbyte::ops {

static RunFunction plan(NodePlanner& node) {
  const bool has_table = node.has(kNormTable);
  if (has_table && node.shape(kNormTable) != Shape{kTableSize}) node.fail("the table must have 256 entries");
  return normalising(layer_norm_of(node), has_table, node.kernels().integer_only.layer_norm_i8);
}

extern const OpDefinition op_int_layer_norm{"IntLayerNorm", "swic?>c", plan};

}  // namespace halfbyte::ops
