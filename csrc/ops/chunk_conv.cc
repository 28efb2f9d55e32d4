// DepthwiseConv of a stream: frames are past ones, from the state, and then the chunk's; y as DepthwiseConv
// gives it, next the frames kept for the next chunk.
#include <algorithm>

#include "graph/operator.h"

namespace halfbyte::ops {

static RunFunction plan(NodePlanner& node) {
  const Shape &x = node.shape(0), &past = node.shape(1), &weight = node.shape(2);
  if (x.rank() != 3 || past.rank() != 3 || weight.rank() != 2 || weight[1] != x[2] || past[0] != x[0] ||
      past[2] != x[2] || node.shape(3) != Shape{x[2]} || node.num_outputs() != 2)
    node.fail("expected x (B, C, D), past (B, L, D), weight (taps, D) and bias (D)");
  const std::int64_t d = x[2], taps = weight[0], left = past[1], all = left + x[1];
  const std::int64_t frames = all - taps + 1, from = node.known_number(4);
  if (frames < 1 || taps < 1) node.fail("there are fewer frames than taps");
  const std::int64_t dropped = std::clamp<std::int64_t>(from < 0 ? from + all : from, 0, all);
  node.set_output(0, {x[0], frames, d});
  node.set_output(1, {x[0], all - dropped, d});
  node.need_scratch(static_cast<std::size_t>(all * d) * sizeof(float));
  return [=, batch = x[0], chunk = x[1], kernel = node.kernels().depthwise_conv](const Operands& operands) {
    auto* joined = static_cast<float*>(operands.scratch);
    for (std::int64_t b = 0; b < batch; ++b) {
      std::copy_n(operands.in<float>(1) + b * left * d, left * d, joined);
      std::copy_n(operands.in<float>(0) + b * chunk * d, chunk * d, joined + left * d);
      kernel({frames, taps, d, joined, operands.in<float>(2), operands.in<float>(3),
              operands.out<float>(0) + b * frames * d});
      std::copy_n(joined + dropped * d, (all - dropped) * d,
                  operands.out<float>(1) + b * (all - dropped) * d);
    }
  };
}

extern const OpDefinition op_chunk_conv{"ChunkConv", "ffffi>f*", plan};

}  // namespace halfbyte::ops
