// Integer-only models: what happens to sums and codes, row by row.
#pragma once
#include <string>

#include "graph/operator.h"
#include "ops/shared/integer_attributes.h"

namespace halfbyte::ops {

constexpr std::int64_t kTableSize = 256;  // one entry for each int8, -128 first

// Size of the last axis, of which inputs 1.. (as many as `per_column`) have one value a column.
inline std::int64_t columns_of(NodePlanner& node, int per_column) {
  const Shape& x = node.shape(0);
  if (x.rank() < 1) node.fail("the input is a scalar; expected one axis or more");
  const std::int64_t columns = x[x.rank() - 1];
  for (int input = 1; input <= per_column; ++input)
    if (node.shape(input) != Shape{columns})
      node.fail("input " + std::to_string(input) + " must have one value per column");
  return columns;
}

inline Rescale rescale_of(NodePlanner& node) {
  const std::int64_t n = columns_of(node, 1);
  const std::int64_t rows = n == 0 ? 0 : node.shape(0).num_elements() / n;
  node.set_output(0, node.shape(0));
  return {rows, n, nullptr, nullptr, shift_attribute(node, "divisor")};
}

}  // namespace halfbyte::ops
