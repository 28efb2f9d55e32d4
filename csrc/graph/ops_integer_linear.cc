// Products of integer-only models, alone and with what follows them.
#include <algorithm>
#include <cstring>

#include "graph/integer_attributes.h"
#include "graph/ops.h"
#include "kernels/packing.h"

namespace halfbyte::ops {
namespace {

enum Input { kX, kCodes, kBias, kMultipliers, kTable, kResidual = kTable };

constexpr std::int64_t kTableSize = 256;        // one entry for each int8, -128 first
constexpr std::int64_t kLeastShared = 1 << 18;  // multiply-adds; fewer are not worth waking a thread

// Codes of x beside each other as the kernels read them: rows padded with zeros.
void pad_rows(const std::int8_t* x, const CodeRows& rows) {
  for (std::int64_t row = 0; row < rows.rows; ++row) {
    std::memcpy(rows.codes + row * rows.stride, x + row * rows.k, static_cast<std::size_t>(rows.k));
    std::memset(rows.codes + row * rows.stride + rows.k, 0, static_cast<std::size_t>(rows.stride - rows.k));
  }
}

// Unsigned, for a file may hold any bias: the sum wraps rather than overflows.
void add_bias(const std::uint32_t* bias, std::int64_t n, std::uint32_t* sums) {
  for (std::int64_t i = 0; i < n; ++i) sums[i] += bias[i];
}

// acc[n] = bias[n] + sum over k of x[k] * code[n][k], exact in int32.
class IntegerProduct {
 public:
  explicit IntegerProduct(NodePlanner& node)
      : bits_(packed_bits(node.dtype(kCodes))),
        n_(node.shape(kCodes)[0]),
        k_(node.shape(kCodes)[1]),
        linear_(find_linear(node.kernels(), bits_, 8)) {
    Shape shape = node.shape(kX);
    const int last = shape.rank() - 1;
    if (last < 0 || shape[last] != k_ || k_ == 0)
      node.fail("the last axis has not the size of the weights' inputs");
    if (node.shape(kBias) != Shape{n_}) node.fail("the bias must have one value per output");
    if (k_ > largest_k(bits_, 8) / 2) node.fail("so many inputs and a bias could overflow int32");
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
    const std::int64_t tile_bytes = packed_bytes(bits_, kTileOutputs, k_);
    linear_({x, operands.in<std::uint8_t>(kCodes) + first / kTileOutputs * tile_bytes, end - first},
            epilogue);
  }

  int bits_;
  std::int64_t n_, k_, rows_ = 0;
  LinearKernel linear_;
  bool is_padded_ = false;
};

IntegerEpilogue epilogue_of(const NodePlanner& node, const IntegerProduct& product) {
  if (node.shape(kMultipliers) != Shape{product.num_outputs()})
    node.fail("there must be one multiplier per output");
  return {nullptr, nullptr, shift_attribute(node, "divisor"), product.num_outputs()};
}

void run_fused(const IntegerProduct& product, const Operands& operands, IntegerEpilogue integer) {
  integer.bias = operands.in<std::int32_t>(kBias);
  integer.multipliers = operands.in<std::int32_t>(kMultipliers);
  Epilogue epilogue{};
  epilogue.integer = &integer;
  product.run(operands, epilogue);
}

constexpr std::int64_t kTaps = 3, kStep = 2;  // of patches, in both directions
constexpr std::int64_t kPatchRows = 64;       // gathered together; they stay in the first cache

// Patches of 3 x 3 in steps of 2 of x (B, T, F, C), as rows of codes: time, bin, channel.
struct Patches {
  std::int64_t batch, rows, columns;                     // patches
  std::int64_t run, row_stride, batch_stride, channels;  // a run of 3 bins; bytes of x
  std::int64_t stride;                                   // of a patch

  std::int64_t count() const { return batch * rows * columns; }

  // Patches first.. (`count` of them) into rows of codes.
  void gather(const std::int8_t* x, std::int64_t first, std::int64_t count, std::int8_t* to) const {
    const std::int8_t* end = x + batch * batch_stride;
    std::int64_t column = first % columns, row = first / columns % rows, b = first / columns / rows;
    for (std::int64_t i = 0; i < count; ++i, to += stride) {
      copy(x + b * batch_stride + kStep * (row * row_stride + column * channels), end, to);
      if (++column < columns) continue;
      column = 0;
      if (++row < rows) continue;
      row = 0, ++b;
    }
  }

 private:
  void copy(const std::int8_t* from, const std::int8_t* end, std::int8_t* to) const {
    constexpr std::int64_t kWord = 8;
    if (run < kWord && end - from >= 2 * row_stride + kWord) return copy_words(from, to);
    for (std::int64_t tap = 0; tap < kTaps; ++tap)
      std::memcpy(to + tap * run, from + tap * row_stride, static_cast<std::size_t>(run));
    std::memset(to + kTaps * run, 0, static_cast<std::size_t>(stride - kTaps * run));
  }

  // Runs of less than a word, each with zeros behind it.
  void copy_words(const std::int8_t* from, std::int8_t* to) const {
    std::memset(to, 0, 64);
    for (std::int64_t tap = 0; tap < kTaps; ++tap) {
      std::int64_t word = 0;
      std::memcpy(&word, from + tap * row_stride, sizeof word);
      word &= (std::int64_t{1} << (8 * run)) - 1;
      std::memcpy(to + tap * run, &word, sizeof word);
    }
  }
};

}  // namespace

RunFunction plan_int_patch_linear(NodePlanner& node) {
  const Shape& x = node.shape(kX);
  const int bits = packed_bits(node.dtype(kCodes));
  if (x.rank() != 4) node.fail("expected x (B, T, F, channels)");
  const std::int64_t n = node.shape(kCodes)[0], k = node.shape(kCodes)[1], run = kTaps * x[3];
  if (k != kTaps * run || k == 0 || k > largest_k(bits, 8) / 2)
    node.fail("the weights do not fit the patches");
  if (node.shape(kBias) != Shape{n} || node.shape(kMultipliers) != Shape{n})
    node.fail("there must be one bias and one multiplier per output");
  const std::int64_t rows = std::max<std::int64_t>(0, (x[1] - 1) / kStep);
  const std::int64_t columns = std::max<std::int64_t>(0, (x[2] - 1) / kStep);
  const Patches patches{x[0], rows, columns, run, x[2] * x[3], x[1] * x[2] * x[3], x[3], padded_codes(k)};
  node.set_output(0, {x[0], rows, columns, n});
  node.need_scratch(static_cast<std::size_t>(kPatchRows * patches.stride * node.num_threads()));
  IntegerEpilogue epilogue{nullptr, nullptr, shift_attribute(node, "divisor"), n, low_attribute(node)};
  return [=, linear = find_linear(node.kernels(), bits, 8)](const Operands& operands) {
    const std::int64_t blocks = (patches.count() + kPatchRows - 1) / kPatchRows;
    share_loop(operands.pool, blocks, [&](int part, std::int64_t block, std::int64_t end) {
      auto* codes = static_cast<std::int8_t*>(operands.scratch) + part * kPatchRows * patches.stride;
      IntegerEpilogue integer = epilogue;
      integer.bias = operands.in<std::int32_t>(kBias);
      integer.multipliers = operands.in<std::int32_t>(kMultipliers);
      Epilogue whole{};
      whole.integer = &integer;
      for (; block < end; ++block) {
        const std::int64_t first = block * kPatchRows, count = std::min(kPatchRows, patches.count() - first);
        patches.gather(operands.in<std::int8_t>(kX), first, count, codes);
        integer.codes = operands.out<std::int8_t>(0) + first * n;
        const CodeRows gathered{count, k, codes, patches.stride, nullptr};
        linear({gathered, operands.in<std::uint8_t>(kCodes), n}, whole);
      }
    });
  };
}

RunFunction plan_int_linear(NodePlanner& node) {
  const IntegerProduct product(node);
  return [product](const Operands& operands) {
    Epilogue epilogue{nullptr, nullptr, nullptr, product.num_outputs()};
    epilogue.sums = operands.out<std::int32_t>(0);
    product.run(operands, epilogue);
    for (std::int64_t row = 0; row < product.rows(); ++row)
      add_bias(operands.in<std::uint32_t>(kBias), product.num_outputs(),
               operands.out<std::uint32_t>(0) + row * product.num_outputs());
  };
}

RunFunction plan_int_linear_codes(NodePlanner& node) {
  const IntegerProduct product(node);
  IntegerEpilogue epilogue = epilogue_of(node, product);
  epilogue.low = low_attribute(node);
  const bool has_table = node.has(kTable);
  if (has_table && node.shape(kTable) != Shape{kTableSize}) node.fail("the table has not 256 entries");
  return [=](const Operands& operands) {
    IntegerEpilogue integer = epilogue;
    integer.codes = operands.out<std::int8_t>(0);
    if (has_table) integer.table = operands.in<std::int8_t>(kTable);
    run_fused(product, operands, integer);
  };
}

RunFunction plan_int_linear_wide(NodePlanner& node) {
  const IntegerProduct product(node);
  const IntegerEpilogue epilogue = epilogue_of(node, product);
  const bool has_residual = node.has(kResidual);
  if (has_residual && node.shape(kResidual) != node.outputs()[0].value.shape)
    node.fail("the residual has another shape");
  if (has_residual) node.allow_in_place(kResidual);
  return [=](const Operands& operands) {
    IntegerEpilogue integer = epilogue;
    integer.wide = operands.out<std::int16_t>(0);
    if (has_residual) integer.residual = operands.in<std::int16_t>(kResidual);
    run_fused(product, operands, integer);
  };
}

}  // namespace halfbyte::ops
