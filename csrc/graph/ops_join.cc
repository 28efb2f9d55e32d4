#include <algorithm>
#include <cstring>

#include "error.h"
#include "graph/ops.h"
#include "graph/strided_copy.h"

namespace halfbyte::ops {

RunFunction plan_concat(NodePlanner& node) {
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

RunFunction plan_gather(NodePlanner& node) {
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
          throw Error(ErrorKind::kInput, "index " + std::to_string(index) + " came, expected less than " +
                                             std::to_string(size) + "; check the ids");
        std::memcpy(out, operands.in<unsigned char>(0) + (row * size + index) * item_bytes, item_bytes);
      }
  };
}

RunFunction plan_pad(NodePlanner& node) {
  if (node.text_attribute("mode", "constant") != "constant") node.fail("only constant padding runs");
  const Shape& from = node.shape(0);
  const auto pads = node.known_numbers(1);
  std::vector<std::int64_t> axes;
  for (int axis = 0; axis < from.rank(); ++axis) axes.push_back(axis);
  if (node.has(3)) axes = node.known_numbers(3);
  if (pads.size() != 2 * axes.size()) node.fail("pads has another number of axes");
  if (node.has(2) && node.shape(2).num_elements() != 1) node.fail("the padding value is no scalar");
  Shape shape = from;
  Shape begins = from;
  for (int axis = 0; axis < from.rank(); ++axis) begins[axis] = 0;
  for (std::size_t i = 0; i < axes.size(); ++i) {
    constexpr std::int64_t kMaxPad = std::int64_t{1} << 31;
    const int axis = node.axis(axes[i], from.rank());
    const std::int64_t after = pads[axes.size() + i];
    if (pads[i] < 0 || after < 0 || pads[i] > kMaxPad || after > kMaxPad)
      node.fail("a padding is negative or too large");
    begins[axis] = pads[i];
    shape[axis] = pads[i] + from[axis] + after;
  }
  node.set_output(0, shape);
  StridedCopy copy;
  copy.shape = from;
  copy.from = contiguous_strides(from);
  copy.to = contiguous_strides(shape);
  copy.item_bytes = dtype_bytes(node.dtype(0));
  std::int64_t begin = 0;
  for (int axis = 0; axis < from.rank(); ++axis) begin += begins[axis] * copy.to[axis];
  StridedCopy fill;  // reads the value over and over
  fill.shape = shape;
  fill.to = contiguous_strides(shape);
  fill.item_bytes = copy.item_bytes;
  return
      [fill = fill.merged(), copy = copy.merged(), begin, has_value = node.has(2)](const Operands& operands) {
        const std::uint64_t zero = 0;
        fill.run(has_value ? operands.in<void>(2) : &zero, operands.out<void>(0));
        copy.run(operands.in<void>(0), operands.out<unsigned char>(0) + begin * copy.item_bytes);
      };
}

}  // namespace halfbyte::ops
