// x (B, T, F, C) -> (B, (T - 1) / 2, (F - 1) / 2, 9 C): patches of 3 x 3 in steps of 2; time, bin, channel.
#include <algorithm>
#include <cstring>

#include "graph/operator.h"

namespace halfbyte::ops {

constexpr std::int64_t kTaps = 3, kStep = 2;  // of the subsampling convolutions, in both directions

static RunFunction plan(NodePlanner& node) {
  const Shape& x = node.shape(0);
  if (x.rank() != 4) node.fail("expected x (B, T, F, channels)");
  const std::int64_t rows = std::max<std::int64_t>(0, (x[1] - 1) / kStep);
  const std::int64_t columns = std::max<std::int64_t>(0, (x[2] - 1) / kStep);
  const std::int64_t run = kTaps * x[3], row_stride = x[2] * x[3];
  node.set_output(0, {x[0], rows, columns, kTaps * run});
  return [=, batch = x[0], batch_stride = x[1] * row_stride, channels = x[3]](const Operands& operands) {
    auto* out = operands.out<std::int8_t>(0);
    for (std::int64_t at = 0; at < batch * rows * columns; ++at) {
      const std::int64_t column = at % columns, row = at / columns % rows;
      const std::int8_t* start = operands.in<std::int8_t>(0) + at / (columns * rows) * batch_stride +
                                 kStep * row * row_stride + kStep * column * channels;
      for (std::int64_t tap = 0; tap < kTaps; ++tap, out += run)
        std::memcpy(out, start + tap * row_stride, static_cast<std::size_t>(run));
    }
  };
}

extern const OpDefinition op_int_patches{"IntPatches", "c>c", plan};

}  // namespace halfbyte::ops
