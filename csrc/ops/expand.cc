#include "graph/broadcast.h"
#include "ops/shared/parts.h"

namespace halfbyte::ops {

static RunFunction plan(NodePlanner& node) {
  Shape asked;
  for (std::int64_t size : node.known_numbers(1)) asked.push_back(size);
  StridedCopy copy;
  copy.shape = broadcast_shape(node, node.shape(0), asked);
  node.set_output(0, copy.shape);  // refuses negative sizes
  copy.from = broadcast_strides(node.shape(0), copy.shape);
  copy.item_bytes = dtype_bytes(node.dtype(0));
  finish(copy);
  if (!take_part(node, 0, copy)) return nullptr;
  return copying(copy);
}

extern const OpDefinition op_expand{"Expand", "Ai>A", plan};

}  // namespace halfbyte::ops
