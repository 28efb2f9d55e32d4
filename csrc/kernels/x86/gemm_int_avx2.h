#pragma once
#include "kernels/kernels.h"

namespace halfbyte {
void gemm_w4a8_4x16_avx2(const GemmOperands& g, const Epilogue& e);
void gemm_w8a8_2x16_avx2(const GemmOperands& g, const Epilogue& e);
void gemm_w4_int32_4x16_avx2(const GemmOperands& g, int32_t* acc, int64_t stride);
void gemm_w8_int32_2x16_avx2(const GemmOperands& g, int32_t* acc, int64_t stride);
}  // namespace halfbyte
