// Outputs that hold a part of input 0, or its elements in another order.
#pragma once
#include "graph/operator.h"
#include "graph/strided_copy.h"

namespace halfbyte::ops {

inline RunFunction copying(const StridedCopy& copy) {
  return [copy = copy.merged()](const Operands& operands) {
    copy.run(operands.in<void>(0), operands.out<void>(0));
  };
}

// A part of input 0 becomes an output: a view if it is contiguous there, else a copy. Returns false for
// a view.
inline bool take_part(NodePlanner& node, int output, const StridedCopy& copy) {
  const auto dense = contiguous_strides(copy.shape);
  bool is_dense = true;
  for (int axis = 0; axis < copy.shape.rank(); ++axis)
    is_dense = is_dense && (copy.shape[axis] == 1 || copy.from[axis] == dense[axis]);
  if (is_dense || copy.shape.num_elements() == 0) {
    const bool is_empty = copy.shape.num_elements() == 0;
    node.set_view(output, 0, copy.shape, is_empty ? 0 : copy.offset * copy.item_bytes);
    return false;
  }
  node.set_output(output, copy.shape);
  return true;
}

// Fills in strides of the target once the shape is final.
inline void finish(StridedCopy& copy) { copy.to = contiguous_strides(copy.shape); }

}  // namespace halfbyte::ops
