#include "graph/operator.h"
#include "graph/strided_copy.h"

namespace halfbyte::ops {

static RunFunction plan(NodePlanner& node) {
  if (node.text_attribute("mode", "constant") != "constant") node.fail("the mode must be constant");
  const Shape& from = node.shape(0);
  const auto pads = node.known_numbers(1);
  std::vector<std::int64_t> axes;
  for (int axis = 0; axis < from.rank(); ++axis) axes.push_back(axis);
  if (node.has(3)) axes = node.known_numbers(3);
  if (pads.size() != 2 * axes.size()) node.fail("pads must have two entries per axis");
  if (node.has(2) && node.shape(2).num_elements() != 1) node.fail("the padding value must be one number");
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

extern const OpDefinition op_pad{"Pad", "AiA?i?>A", plan};

}  // namespace halfbyte::ops
