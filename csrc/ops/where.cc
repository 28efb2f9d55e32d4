#include "graph/broadcast.h"
#include "graph/operator.h"

namespace halfbyte::ops {

template <class T>
RunFunction plan_choice(NodePlanner& node) {
  const Shape values = broadcast_shape(node, node.shape(1), node.shape(2));
  const Shape shape = broadcast_shape(node, node.shape(0), values);
  node.set_output(0, shape);
  const BroadcastWalk<3> walk(shape, {node.shape(0), node.shape(1), node.shape(2)});
  return [walk](const Operands& operands) {
    const auto* choice = operands.in<std::uint8_t>(0);
    const T* yes = operands.in<T>(1);
    const T* no = operands.in<T>(2);
    T* out = operands.out<T>(0);
    walk.each_row([&](std::int64_t at, const std::array<std::int64_t, 3>& from) {
      for (std::int64_t i = 0; i < walk.inner_size(); ++i)
        out[at + i] = choice[from[0] + i * walk.inner_stride(0)] ? yes[from[1] + i * walk.inner_stride(1)]
                                                                 : no[from[2] + i * walk.inner_stride(2)];
    });
  };
}

static RunFunction plan(NodePlanner& node) {
  switch (node.dtype(1)) {
    case DType::kFloat32:
      return plan_choice<float>(node);
    case DType::kInt64:
      return plan_choice<std::int64_t>(node);
    default:
      return plan_choice<std::uint8_t>(node);
  }
}

extern const OpDefinition op_where{"Where", "bTT>T", plan};

}  // namespace halfbyte::ops
