#include "graph/operator.h"
#include "graph/strided_copy.h"

namespace halfbyte::ops {

static RunFunction plan(NodePlanner& node) {
  Shape shape = node.shape(0);
  const int rank = shape.rank();
  const int axis = node.axis(node.attribute("axis"), rank);
  shape[axis] = 0;
  for (int i = 0; i < node.num_inputs(); ++i) {
    const Shape& part = node.shape(i);
    if (part.rank() != rank) node.fail("the parts differ in their number of axes");
    for (int other = 0; other < rank; ++other)
      if (other != axis && part[other] != shape[other]) node.fail("the parts differ beside the axis");
    shape[axis] += part[axis];
  }
  for (int i = 0; i < node.num_inputs(); ++i) {
    if (node.shape(i) != shape) continue;  // all other parts are empty
    node.set_view(0, i, shape);
    return nullptr;
  }
  node.set_output(0, shape);
  const std::int64_t rows = shape.product(0, axis), inner = shape.product(axis + 1, rank);
  std::vector<StridedCopy> parts;
  std::vector<std::int64_t> begins;  // in elements
  std::int64_t begin = 0;
  for (int i = 0; i < node.num_inputs(); ++i) {
    const std::int64_t row = node.shape(i)[axis] * inner;
    StridedCopy part;
    part.shape = {rows, row};
    part.from = {row, 1};
    part.to = {shape[axis] * inner, 1};
    part.item_bytes = dtype_bytes(node.dtype(0));
    parts.push_back(part.merged());
    begins.push_back(begin);
    begin += row;
  }
  return [parts, begins](const Operands& operands) {
    for (std::size_t i = 0; i < parts.size(); ++i)
      parts[i].run(operands.in<void>(static_cast<int>(i)),
                   operands.out<unsigned char>(0) + begins[i] * parts[i].item_bytes);
  };
}

extern const OpDefinition op_concat{"Concat", "A*>A", plan};

}  // namespace halfbyte::ops
