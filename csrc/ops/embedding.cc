// Rows of packed codes (V, D) with float32 scales (V).
#include "graph/operator.h"

namespace halfbyte::ops {

static RunFunction plan(NodePlanner& node) {
  const std::int64_t v = node.shape(1)[0], d = node.shape(1)[1];
  if (node.shape(2) != Shape{v}) node.fail("scales must have one value per row");
  Shape shape = node.shape(0);
  shape.push_back(d);
  node.set_output(0, shape);
  return [v, d, rows = node.codec(1).rows, count = node.shape(0).num_elements()](const Operands& operands) {
    const EmbeddingTable table{0, v, d, operands.in<std::uint8_t>(1), operands.in<float>(2)};
    rows(table, operands.in<std::int64_t>(0), count, operands.out<float>(0));
  };
}

extern const OpDefinition op_embedding{"Embedding", "ipf>f", plan};

}  // namespace halfbyte::ops
