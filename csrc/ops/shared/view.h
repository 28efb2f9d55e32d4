#pragma once
#include "graph/operator.h"

namespace halfbyte::ops {

// The data of input 0 in another shape.
inline RunFunction plan_view(NodePlanner& node, const Shape& shape) {
  node.set_view(0, 0, shape);
  return nullptr;
}

}  // namespace halfbyte::ops
