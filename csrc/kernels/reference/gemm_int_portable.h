#pragma once
#include "kernels/kernels.h"

namespace halfbyte {
void gemm_w4a8_8x16_portable(const GemmOperands& g, const Epilogue& e);
void gemm_w8a8_8x16_portable(const GemmOperands& g, const Epilogue& e);
void gemm_w4_int32_8x16_portable(const GemmOperands& g, int32_t* acc, int64_t stride);
void gemm_w8_int32_8x16_portable(const GemmOperands& g, int32_t* acc, int64_t stride);
}  // namespace halfbyte
