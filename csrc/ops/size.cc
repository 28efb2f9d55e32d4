#include "graph/operator.h"

namespace halfbyte::ops {

static RunFunction plan(NodePlanner& node) {
  node.set_known(0, {node.shape(0).num_elements()}, {});
  return nullptr;
}

extern const OpDefinition op_size{"Size", "A>i", plan, OpDefinition::Role::kReadsShape};

}  // namespace halfbyte::ops
