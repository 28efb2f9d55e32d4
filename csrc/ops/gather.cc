#include <cstring>

#include "error.h"
#include "graph/operator.h"

namespace halfbyte::ops {

static RunFunction plan(NodePlanner& node) {
  const Shape& from = node.shape(0);
  const Shape& indices = node.shape(1);
  const int axis = node.axis(node.attribute("axis", 0), from.rank());
  Shape shape;
  for (int i = 0; i < axis; ++i) shape.push_back(from[i]);
  for (int i = 0; i < indices.rank(); ++i) shape.push_back(indices[i]);
  for (int i = axis + 1; i < from.rank(); ++i) shape.push_back(from[i]);
  node.set_output(0, shape);
  const std::size_t item_bytes = from.product(axis + 1, from.rank()) * dtype_bytes(node.dtype(0));
  return [item_bytes, size = from[axis], rows = from.product(0, axis),
          count = indices.num_elements()](const Operands& operands) {
    auto* out = operands.out<unsigned char>(0);
    for (std::int64_t row = 0; row < rows; ++row)
      for (std::int64_t i = 0; i < count; ++i, out += item_bytes) {
        std::int64_t index = operands.in<std::int64_t>(1)[i];
        if (index < 0) index += size;
        if (index < 0 || index >= size)
          throw Error(ErrorKind::kInput, "index " + std::to_string(index) +
                                             " is out of range; expected less than " + std::to_string(size) +
                                             "; check the ids");
        std::memcpy(out, operands.in<unsigned char>(0) + (row * size + index) * item_bytes, item_bytes);
      }
  };
}

extern const OpDefinition op_gather{"Gather", "Ai>A", plan};

}  // namespace halfbyte::ops
