// Integer-only attention with relative positions: IntAttention(query (B, C, D), content (D), position (D),
// exponentials (E), key (B, K, D), value (B, K, D), distances (K + C - 1, D), valid (B, K)), all int8.
#include "graph/integer_attributes.h"
#include "graph/ops.h"

namespace halfbyte::ops {
namespace {

enum Input { kQuery, kContent, kPosition, kExponentials, kKey, kValue, kDistances, kValid };

constexpr int kScoreShift = 55;  // the largest shift that leaves room for seven bits more

void check_shapes(NodePlanner& node, std::int64_t heads) {
  const Shape &query = node.shape(kQuery), &key = node.shape(kKey), &value = node.shape(kValue);
  if (query.rank() != 3 || key.rank() != 3 || key != value || key[0] != query[0] || key[2] != query[2])
    node.fail("expected query (B, C, D), key and value (B, K, D)");
  const std::int64_t d = query[2];
  if (heads < 1 || d % heads != 0 || d / heads > kLargestHead) node.fail("the heads do not fit the width");
  if (node.shape(kContent) != Shape{d} || node.shape(kPosition) != Shape{d})
    node.fail("content and position must have one value per column");
  if (node.shape(kDistances) != Shape{key[1] + query[1] - 1, d}) node.fail("distances has another shape");
  if (node.shape(kValid) != Shape{key[0], key[1]}) node.fail("valid has another shape");
  if (key[1] < 1 || key[1] > 65536) node.fail("there are not 1 to 65536 keys");
  if (node.shape(kExponentials).rank() != 1 || node.shape(kExponentials)[0] < 1)
    node.fail("there are no exponentials");
}

}  // namespace

RunFunction plan_int_attention(NodePlanner& node) {
  const std::int64_t heads = node.attribute("heads");
  check_shapes(node, heads);
  const Shape query = node.shape(kQuery);
  const std::int64_t batch = query[0], d = query[2];
  IntegerAttention plan{};
  plan.queries = query[1], plan.keys = node.shape(kKey)[1];
  plan.width = d / heads, plan.stride = d;
  plan.num_exponentials = node.shape(kExponentials)[0];
  plan.content_multiplier = multiplier_attribute(node, "content_multiplier");
  plan.position_multiplier = multiplier_attribute(node, "position_multiplier");
  plan.score_shift = shift_attribute(node, "score_divisor");
  plan.multiplier = multiplier_attribute(node, "multiplier");
  plan.shift = shift_attribute(node, "divisor", kScoreShift);
  node.set_output(0, query);
  node.need_scratch(static_cast<std::size_t>(plan.keys) * sizeof(std::int64_t));
  return [=, kernel = node.kernels().integer_only.attention](const Operands& operands) {
    const auto at = [&](int input, std::int64_t offset) { return operands.in<std::int8_t>(input) + offset; };
    IntegerAttention op = plan;
    op.scores = static_cast<std::int64_t*>(operands.scratch);
    op.exponentials = at(kExponentials, 0);
    for (std::int64_t b = 0; b < batch; ++b)
      for (std::int64_t column = 0; column < d; column += op.width) {
        const std::int64_t keys = b * op.keys * d + column, queries = b * op.queries * d + column;
        op.query = at(kQuery, queries), op.key = at(kKey, keys), op.value = at(kValue, keys);
        op.content = at(kContent, column), op.position = at(kPosition, column);
        op.distances = at(kDistances, column), op.valid = at(kValid, b * op.keys);
        op.out = operands.out<std::int8_t>(0) + queries;
        kernel(op);
      }
  };
}

}  // namespace halfbyte::ops
