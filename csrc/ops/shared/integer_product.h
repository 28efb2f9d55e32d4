// Products of integer-only models, alone and with what follows them.
#pragma once
#include <algorithm>
#include <cstring>

#include "graph/operator.h"
#include "ops/shared/integer_attributes.h"

namespace halfbyte::ops {

enum Input { kX, kCodes, kBias, kMultipliers, kTable, kResidual = kTable };

constexpr std::int64_t kLeastShared = 1 << 18;  // multiply-adds; fewer are not worth waking a thread

// Codes of x beside each other as the kernels read them: rows padded with zeros.
inline void pad_rows(const std::int8_t* x, const CodeRows& rows) {
  for (std::int64_t row = 0; row < rows.rows; ++row) {
    std::memcpy(rows.codes + row * rows.stride, x + row * rows.k, static_cast<std::size_t>(rows.k));
    std::memset(rows.codes + row * rows.stride + rows.k, 0, static_cast<std::size_t>(rows.stride - rows.k));
  }
}

// acc[n] = bias[n] + sum over k of x[k] * code[n][k], exact in int32.
class IntegerProduct {
 public:
  explicit IntegerProduct(NodePlanner& node)
      : codec_(&node.codec(kCodes)),
        n_(node.shape(kCodes)[0]),
        k_(node.shape(kCodes)[1]),
        linear_(codec_->linear(node.kernels(), 8)) {
    Shape shape = node.shape(kX);
    const int last = shape.rank() - 1;
    if (last < 0 || shape[last] != k_ || k_ == 0)
      node.fail("the last axis must have as many values as the weights have inputs");
    if (node.shape(kBias) != Shape{n_}) node.fail("the bias must have one value per output");
    if (k_ > codec_->largest_k(8) / 2) node.fail("so many inputs and a bias could overflow int32");
    shape[last] = n_;
    node.set_output(0, shape);
    rows_ = shape.product(0, last);
    is_padded_ = k_ != padded_codes(k_);
    if (is_padded_) node.need_scratch(static_cast<std::size_t>(rows_ * padded_codes(k_)));
  }

  std::int64_t rows() const { return rows_; }
  std::int64_t num_outputs() const { return n_; }

  // What Epilogue says, by all threads; the bias of bare sums is added by the caller.
  void run(const Operands& operands, const Epilogue& epilogue) const {
    const CodeRows x = codes(operands);
    if (operands.pool == nullptr || epilogue.integer == nullptr || rows_ * n_ * k_ < kLeastShared)
      return linear_({x, operands.in<std::uint8_t>(kCodes), n_}, epilogue);
    operands.pool->run(tiles_of(n_), [&](int, std::int64_t first, std::int64_t end) {
      share(operands, x, *epilogue.integer, first * kTileOutputs, std::min(end * kTileOutputs, n_));
    });
  }

 private:
  CodeRows codes(const Operands& operands) const {
    const auto* x = operands.in<std::int8_t>(kX);
    if (!is_padded_) return {rows_, k_, const_cast<std::int8_t*>(x), k_, nullptr};  // kernels only read them
    const CodeRows rows{rows_, k_, static_cast<std::int8_t*>(operands.scratch), padded_codes(k_), nullptr};
    pad_rows(x, rows);
    return rows;
  }

  // Whole tiles of outputs, from `first` to `end`.
  void share(const Operands& operands, const CodeRows& x, IntegerEpilogue part, std::int64_t first,
             std::int64_t end) const {
    part.bias += first, part.multipliers += first;
    if (part.codes != nullptr) part.codes += first;
    if (part.wide != nullptr) part.wide += first;
    if (part.residual != nullptr) part.residual += first;
    Epilogue epilogue{};
    epilogue.integer = &part;
    const std::int64_t tile_bytes = codec_->num_bytes(kTileOutputs, k_);
    linear_({x, operands.in<std::uint8_t>(kCodes) + first / kTileOutputs * tile_bytes, end - first},
            epilogue);
  }

  const Codec* codec_;
  std::int64_t n_, k_, rows_ = 0;
  LinearKernel linear_;
  bool is_padded_ = false;
};

inline IntegerEpilogue epilogue_of(const NodePlanner& node, const IntegerProduct& product) {
  if (node.shape(kMultipliers) != Shape{product.num_outputs()})
    node.fail("there must be one multiplier per output");
  return {nullptr, nullptr, shift_attribute(node, "divisor"), product.num_outputs()};
}

inline void run_fused(const IntegerProduct& product, const Operands& operands, IntegerEpilogue integer) {
  integer.bias = operands.in<std::int32_t>(kBias);
  integer.multipliers = operands.in<std::int32_t>(kMultipliers);
  Epilogue epilogue{};
  epilogue.integer = &integer;
  product.run(operands, epilogue);
}

}  // namespace halfbyte::ops
