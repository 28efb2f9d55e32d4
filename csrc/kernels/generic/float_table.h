// All float kernels of one instruction set, in the order of struct Kernels.
#pragma once
#include "kernels/kernels.h"

#include "kernels/generic/depthwise_conv.h"
#include "kernels/generic/elementwise.h"
#include "kernels/generic/gemm_f32.h"
#include "kernels/generic/quantize.h"
#include "kernels/generic/rows.h"

namespace halfbyte {
namespace {

// The integer kernels of an instruction set, which live in files of their own.
struct IntegerKernels {
  GemmInt gemm_w4;
  GemmInt gemm_w8;
  GemmIntAcc gemm_w4_int32;
  GemmIntAcc gemm_w8_int32;
};

// gemm_w4a4 is gemm_w4a8: activation codes are bytes in both, only the quantiser's edge differs.
constexpr Kernels make_kernels(const char* isa, const IntegerKernels& integer) {
  return {
      isa,
      quantize_rows_f32,
      integer.gemm_w4,
      integer.gemm_w8,
      integer.gemm_w4,
      integer.gemm_w4_int32,
      integer.gemm_w8_int32,
      gemm_f32_strided,
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
  };
}

}  // namespace
}  // namespace halfbyte
