// A linear layer on integers with what follows it, for operators that run one over some rows.
#pragma once
#include <cstdint>
#include <optional>

#include "graph/node_planner.h"

namespace halfbyte {

// Inputs 1 to 3 of a node: packed codes (N, K), scales (N), bias (N). Attributes of the node:
//   activation  "silu", "relu" or "glu", whose output has half as many columns
//   factor      with a residual: out = residual + activation(y) * factor
class QuantizedLinear {
 public:
  // Reads and checks inputs and attributes; the node fails where they do not fit together. Each row has a
  // scale of its own; the attribute activation_bits is 8, or 4 where the weights have 4, too.
  explicit QuantizedLinear(NodePlanner& node);
  // One scale for all rows, which is input kStep; input kOffsets is what the zero point adds to the sums, (N)
  // int32. `codes` is without its scale.
  QuantizedLinear(NodePlanner& node, const StaticScale& codes);
  static constexpr int kOffsets = 4, kStep = 5;

  std::int64_t num_inputs() const { return k_; }
  std::int64_t num_outputs() const { return activation_ == Activation::kGlu ? n_ / 2 : n_; }
  float factor() const { return factor_; }
  std::size_t scratch_bytes(std::int64_t rows) const;

  // Rows of x, (rows, K) at x + row * x_stride, become rows of out, contiguous. `residual`, contiguous,
  // may be out, or nullptr for none. Throws kInput where a row holds NaN or infinity.
  void run(const Operands& operands, const float* x, std::int64_t x_stride, std::int64_t rows,
           const float* residual, float* out, void* scratch) const;

 private:
  QuantizedLinear(NodePlanner& node, int act_bits, std::optional<StaticScale> codes);

  void run_block(const Operands& operands, const float* x, std::int64_t x_stride, std::int64_t rows,
                 const float* residual, float* out, void* scratch) const;

  void share_outputs(ThreadPool* pool, const LinearOperands& matrices, const Epilogue& epilogue) const;
  void share_rows(ThreadPool* pool, const LinearOperands& matrices, const Epilogue& epilogue) const;

  const Kernels* kernels_;
  const Codec* codec_;
  LinearKernel linear_;
  int qmax_;
  std::optional<StaticScale> static_codes_;
  std::int64_t n_, k_;
  bool has_separate_glu_ = false;  // halves that are no whole tiles
  Activation activation_ = Activation::kNone;
  float factor_ = 1.0f;
};

// Runs the layer over the rows of input 0; input `residual` may be left out.
RunFunction plan_quantized_linear(NodePlanner& node, const QuantizedLinear& linear, int residual);

}  // namespace halfbyte
