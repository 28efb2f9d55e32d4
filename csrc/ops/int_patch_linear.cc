// IntPatches and IntLinearCodes.
#include <algorithm>
#include <cstring>

#include "ops/shared/integer_product.h"

namespace halfbyte::ops {

namespace {

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

static RunFunction plan(NodePlanner& node) {
  const Shape& x = node.shape(kX);
  const Codec& codec = node.codec(kCodes);
  if (x.rank() != 4) node.fail("expected x (B, T, F, channels)");
  const std::int64_t n = node.shape(kCodes)[0], k = node.shape(kCodes)[1], run = kTaps * x[3];
  if (k != kTaps * run || k == 0 || k > codec.largest_k(8) / 2)
    node.fail("the weights do not fit the patches");
  if (node.shape(kBias) != Shape{n} || node.shape(kMultipliers) != Shape{n})
    node.fail("there must be one bias and one multiplier per output");
  const std::int64_t rows = std::max<std::int64_t>(0, (x[1] - 1) / kStep);
  const std::int64_t columns = std::max<std::int64_t>(0, (x[2] - 1) / kStep);
  const Patches patches{x[0], rows, columns, run, x[2] * x[3], x[1] * x[2] * x[3], x[3], padded_codes(k)};
  node.set_output(0, {x[0], rows, columns, n});
  node.need_scratch(static_cast<std::size_t>(kPatchRows * patches.stride * node.num_threads()));
  IntegerEpilogue epilogue{nullptr, nullptr, shift_attribute(node, "divisor"), n, low_attribute(node)};
  return [=, linear = codec.linear(node.kernels(), 8)](const Operands& operands) {
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

extern const OpDefinition op_int_patch_linear{"IntPatchLinear", "cpww>c", plan};

}  // namespace halfbyte::ops
