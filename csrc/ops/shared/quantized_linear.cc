#include "ops/shared/quantized_linear.h"

#include <algorithm>

#include "graph/broadcast.h"
#include "ops/shared/linear_shape.h"

namespace halfbyte {
namespace {

constexpr std::int64_t kLeastShared = 1 << 19;  // multiply-adds below which other threads only delay
constexpr std::int64_t kBlockRows = 128;        // their codes stay in the second-level cache

std::size_t aligned(std::int64_t num_bytes) { return static_cast<std::size_t>((num_bytes + 63) / 64 * 64); }

Activation activation_named(NodePlanner& node, const std::string& name, std::int64_t n) {
  if (name.empty()) return Activation::kNone;
  if (name == "silu") return Activation::kSilu;
  if (name == "relu") return Activation::kRelu;
  if (name == "glu" && n % 2 == 0) return Activation::kGlu;
  node.fail("it cannot be followed by " + name);
}

constexpr int kCodeBits = 8;                // of a static code
constexpr int kStaticBits = kCodeBits + 1;  // of one less its zero point, -255..255

}  // namespace

QuantizedLinear::QuantizedLinear(NodePlanner& node)
    : QuantizedLinear(node, static_cast<int>(node.attribute("activation_bits")), std::nullopt) {}

QuantizedLinear::QuantizedLinear(NodePlanner& node, const StaticScale& codes)
    : QuantizedLinear(node, kStaticBits, codes) {
  constexpr float kLargestStep = 0x1p+100f;
  const auto* step = static_cast<const float*>(node.value(kStep).known);
  if (node.shape(kStep).num_elements() != 1) node.fail("it needs one step");
  if (step != nullptr && !(*step >= 1 / kLargestStep && *step <= kLargestStep))
    node.fail("its step lies outside of 2^-100..2^100");
  if (codes.zero_point < codes.low || codes.zero_point > codes.high)
    node.fail("its zero point lies outside of its codes");
  if (node.shape(kOffsets) != Shape{n_}) node.fail("there must be one offset per output");
}

QuantizedLinear::QuantizedLinear(NodePlanner& node, int act_bits, std::optional<StaticScale> codes)
    : kernels_(&node.kernels()),
      codec_(&node.codec(1)),
      linear_(codec_->linear(*kernels_, codes ? kCodeBits : act_bits)),
      qmax_(act_bits == 8 ? 127 : 7),
      static_codes_(codes) {
  if (linear_ == nullptr)
    node.fail("no kernel multiplies " + std::string(codec_->name) + " with activations of " +
              std::to_string(act_bits) + " bits");
  n_ = node.shape(1)[0], k_ = node.shape(1)[1];
  if (node.shape(2) != Shape{n_} || node.shape(3) != Shape{n_})
    node.fail("scales and bias must have one value per output");
  if (k_ == 0) node.fail("the weights have no inputs");
  if (k_ > codec_->largest_k(act_bits)) node.fail("so many inputs could overflow int32");
  activation_ = activation_named(node, node.text_attribute("activation", ""), n_);
  has_separate_glu_ = activation_ == Activation::kGlu && n_ / 2 % kTileOutputs != 0;
  factor_ = node.real_attribute("factor", 1.0f);
}

std::size_t QuantizedLinear::scratch_bytes(std::int64_t rows) const {
  const std::int64_t block = std::min(rows, kBlockRows);
  return aligned(block * padded_codes(k_)) + aligned(block * 4) +
         (has_separate_glu_ ? aligned(block * n_ * 4) : 0);
}

void QuantizedLinear::run(const Operands& operands, const float* x, std::int64_t x_stride, std::int64_t rows,
                          const float* residual, float* out, void* scratch) const {
  for (std::int64_t row = 0; row < rows; row += kBlockRows) {
    const std::int64_t count = std::min(kBlockRows, rows - row), at = row * num_outputs();
    run_block(operands, x + row * x_stride, x_stride, count, residual ? residual + at : nullptr, out + at,
              scratch);
  }
}

void QuantizedLinear::run_block(const Operands& operands, const float* x, std::int64_t x_stride,
                                std::int64_t rows, const float* residual, float* out, void* scratch) const {
  auto* bytes = static_cast<unsigned char*>(scratch);
  auto* scales = bytes + aligned(rows * padded_codes(k_));
  const CodeRows codes{rows, k_, reinterpret_cast<std::int8_t*>(bytes), padded_codes(k_),
                       reinterpret_cast<float*>(scales)};
  if (static_codes_)
    quantize_rows(
        *kernels_, x, x_stride,
        {*operands.in<float>(kStep), static_codes_->zero_point, static_codes_->low, static_codes_->high},
        codes);
  else
    quantize_rows(*kernels_, x, x_stride, qmax_, codes);
  const LinearOperands matrices{codes, operands.in<std::uint8_t>(1), n_};
  Epilogue epilogue{operands.in<float>(2), operands.in<float>(3), out, num_outputs()};
  if (static_codes_) epilogue.offsets = operands.in<std::int32_t>(kOffsets);
  if (has_separate_glu_) {
    epilogue.out = reinterpret_cast<float*>(scales + aligned(rows * 4));
    epilogue.out_stride = n_;
    linear_(matrices, epilogue);
    return kernels_->glu(epilogue.out, rows, n_ / 2, out);
  }
  epilogue.activation = activation_;
  epilogue.residual = residual;
  epilogue.residual_stride = num_outputs();
  epilogue.factor = factor_;
  if (operands.pool == nullptr || rows * n_ * k_ < kLeastShared)
    linear_(matrices, epilogue);
  else if (activation_ == Activation::kGlu)
    share_rows(operands.pool, matrices, epilogue);
  else
    share_outputs(operands.pool, matrices, epilogue);
}

// Whole tiles of outputs for each thread.
void QuantizedLinear::share_outputs(ThreadPool* pool, const LinearOperands& matrices,
                                    const Epilogue& epilogue) const {
  const std::int64_t tile_bytes = codec_->num_bytes(kTileOutputs, k_);
  pool->run(tiles_of(n_), [&](int, std::int64_t first_tile, std::int64_t end_tile) {
    const std::int64_t first = first_tile * kTileOutputs;
    const std::int64_t end = std::min(end_tile * kTileOutputs, n_);
    Epilogue part = epilogue;
    part.scales += first, part.bias += first, part.out += first;
    if (part.residual != nullptr) part.residual += first;
    if (part.offsets != nullptr) part.offsets += first;
    linear_({matrices.x, matrices.weights + first_tile * tile_bytes, end - first}, part);
  });
}

void QuantizedLinear::share_rows(ThreadPool* pool, const LinearOperands& matrices,
                                 const Epilogue& epilogue) const {
  const CodeRows& x = matrices.x;
  pool->run(x.rows, [&](int, std::int64_t first, std::int64_t end) {
    const CodeRows rows{end - first, x.k, x.codes + first * x.stride, x.stride, x.scales + first};
    Epilogue part = epilogue;
    part.out += first * part.out_stride;
    linear_({rows, matrices.weights, matrices.n}, part);
  });
}

// A residual of another shape is added as numpy broadcasts it, after the layer.
static RunFunction plan_broadcast(NodePlanner& node, const QuantizedLinear& linear, int residual,
                                  std::int64_t rows) {
  const Shape y_shape = node.outputs()[0].value.shape;
  const Shape shape = broadcast_shape(node, node.shape(residual), y_shape);
  node.set_output(0, shape);
  const BroadcastWalk<2> walk(shape, {node.shape(residual), y_shape});
  const std::size_t y_bytes = static_cast<std::size_t>(y_shape.num_elements() + 15) / 16 * 64;
  node.need_scratch(y_bytes + linear.scratch_bytes(rows));
  return [=](const Operands& operands) {
    auto* y = static_cast<float*>(operands.scratch);
    linear.run(operands, operands.in<float>(0), linear.num_inputs(), rows, nullptr, y,
               static_cast<unsigned char*>(operands.scratch) + y_bytes);
    walk.each_row([&](std::int64_t at, const std::array<std::int64_t, 2>& from) {
      for (std::int64_t i = 0; i < walk.inner_size(); ++i)
        operands.out<float>(0)[at + i] = operands.in<float>(residual)[from[0] + i * walk.inner_stride(0)] +
                                         y[from[1] + i * walk.inner_stride(1)] * linear.factor();
    });
  };
}

RunFunction plan_quantized_linear(NodePlanner& node, const QuantizedLinear& linear, int residual) {
  const std::int64_t k = linear.num_inputs();
  const std::int64_t rows = ops::plan_linear_shape(node, linear.num_outputs(), k);
  const bool has_residual = node.has(residual);
  if (has_residual && node.shape(residual) != node.outputs()[0].value.shape)
    return plan_broadcast(node, linear, residual, rows);
  if (has_residual) node.allow_in_place(residual);
  node.need_scratch(linear.scratch_bytes(rows));
  return [=](const Operands& operands) {
    linear.run(operands, operands.in<float>(0), k, rows,
               has_residual ? operands.in<float>(residual) : nullptr, operands.out<float>(0),
               operands.scratch);
  };
}

}  // namespace halfbyte
