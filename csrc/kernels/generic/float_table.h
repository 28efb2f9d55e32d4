// All other kernels of one instruction set, in the order of struct Kernels.
#pragma once
#include "kernels/kernels.h"

#include "kernels/generic/depthwise_conv.h"
#include "kernels/generic/elementwise.h"
#include "kernels/generic/gemm_f32.h"
#include "kernels/generic/integer_only.h"
#include "kernels/generic/linear.h"
#include "kernels/generic/log_mel.h"
#include "kernels/generic/quantize.h"
#include "kernels/generic/rows.h"
#include "kernels/generic/training.h"
#include "kernels/generic/weight_only.h"

namespace halfbyte {
namespace {

// The integer kernels of an instruction set: its part of struct Kernels.
struct IntegerKernels {
  LinearKernel linear[kMaxWeightBits + 1];
  LinearKernel linear_w4a4;
  int64_t (*spin)(int64_t rounds);
};

// One template Block<bits> for all widths (linear.h); activation codes are bytes in W4A4 too.
template <template <int> class Block>
constexpr IntegerKernels integer_kernels(int64_t (*spin)(int64_t) = nullptr) {
  return {{nullptr, linear<1, Block<1>>, linear<2, Block<2>>, linear<3, Block<3>>, linear<4, Block<4>>,
           linear<5, Block<5>>, linear<6, Block<6>>, linear<7, Block<7>>, linear<8, Block<8>>},
          linear<4, Block<4>>,
          spin};
}

constexpr Kernels make_kernels(const char* isa, const IntegerKernels& integer) {
  return {
      isa,
      quantize_rows_f32,
      quantize_rows_static_f32,
      {nullptr, integer.linear[1], integer.linear[2], integer.linear[3], integer.linear[4], integer.linear[5],
       integer.linear[6], integer.linear[7], integer.linear[8]},
      integer.linear_w4a4,
      integer.spin,
      gemm_f32_strided,
      linear_w4a32,
      layer_norm_f32,
      softmax_f32,
      log_softmax_f32,
      glu_f32,
      depthwise_conv_f32,
      exp_f32,
      log_f32,
      sigmoid_f32,
      silu_f32,
      tanh_f32,
      relu_f32,
      add_f32,
      mul_f32,
      scale_f32,
      log_mel_f64,
      amax_f32,
      codes_of_scale_f32,
      values_bf16,
      round_bf16,
      kIntegerOnly,
  };
}

}  // namespace
}  // namespace halfbyte
