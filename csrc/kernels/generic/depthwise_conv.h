// Depthwise convolution over time, one filter a channel.
#pragma once
#include "kernels/generic/lanes.h"

namespace halfbyte {
namespace {

// y = (0.0f + x[t] * w[0] + x[t + 1] * w[1] + ...) + bias, left to right; see DepthwiseConv.
void depthwise_conv_f32(const DepthwiseConv& op) {
  for (int64_t d = 0; d < op.d; d += kLanes) {
    const int64_t count = op.d - d < kLanes ? op.d - d : kLanes;
    const auto lanes_at = [&](const float* p) {
      return count == kLanes ? load(p) : load_part(p, count, 0.0f);
    };
    const Lanes bias = lanes_at(op.bias + d);
    for (int64_t t = 0; t < op.frames; ++t) {
      Lanes sum = splat(0.0f);
      for (int64_t k = 0; k < op.taps; ++k)
        sum = sum + lanes_at(op.x + (t + k) * op.d + d) * lanes_at(op.weight + k * op.d + d);
      store_part(op.out + t * op.d + d, sum + bias, count);
    }
  }
}

}  // namespace
}  // namespace halfbyte
