// A linear layer over patches of an image that lies channels last: a strided convolution. Each patch is
// gathered where it is quantised, so that the matrix of all patches never exists.
#include <algorithm>
#include <cstring>
#include <vector>

#include "graph/operator.h"
#include "ops/shared/quantized_linear.h"

namespace halfbyte::ops {

namespace {

constexpr int kFirstEnd = 4;                // inputs before the ends of the parts
constexpr std::int64_t kBlockPatches = 32;  // gathered together: their floats stay in the second-level cache

// Elements of a patch that lie side by side in x.
struct Run {
  std::int64_t offset, count;
};

// x (B, T, F, channels). Part p of a patch at (t, f) is x[b, start_p + step * t, start'_p + step' * f, :].
struct Patches {
  std::int64_t batch, rows, columns;                     // of patches
  std::int64_t batch_stride, row_stride, column_stride;  // in elements of x
  std::int64_t size = 0;                                 // elements of a patch
  std::vector<Run> runs;

  std::int64_t count() const { return batch * rows * columns; }
  void gather(const float* x, std::int64_t patch, float* out) const {
    const std::int64_t column = patch % columns, row = patch / columns % rows;
    const float* start =
        x + patch / (columns * rows) * batch_stride + row * row_stride + column * column_stride;
    for (const Run& run : runs) {
      if (run.count == 1)
        *out = start[run.offset];
      else
        std::memcpy(out, start + run.offset, static_cast<std::size_t>(run.count) * sizeof(float));
      out += run.count;
    }
  }
};

// Elements that Slice takes of an axis; start >= 0.
std::int64_t num_taken(NodePlanner& node, std::int64_t size, std::int64_t start, int end_input,
                       std::int64_t step) {
  const std::int64_t given = node.known_number(end_input);
  const std::int64_t end = std::clamp<std::int64_t>(given < 0 ? given + size : given, 0, size);
  return end <= start ? 0 : (end - start + step - 1) / step;
}

Patches patches_of(NodePlanner& node) {
  const Shape& x = node.shape(0);
  const auto *starts = node.numbers_attribute("starts"), *steps = node.numbers_attribute("steps");
  if (x.rank() != 4 || starts == nullptr || steps == nullptr || steps->size() != 2 || (*steps)[0] < 1 ||
      (*steps)[1] < 1)
    node.fail("expected x (B, T, F, channels), starts, and two steps of at least 1");
  const std::int64_t channels = x[3], row = x[2] * channels;
  const int parts = static_cast<int>(starts->size() / 2);
  if (parts < 1 || node.num_inputs() != kFirstEnd + 2 * parts) node.fail("each part needs two ends");
  Patches patches{};
  patches.batch = x[0];
  patches.batch_stride = x[1] * row;
  patches.row_stride = (*steps)[0] * row, patches.column_stride = (*steps)[1] * channels;
  for (int part = 0; part < parts; ++part) {
    const std::int64_t first_row = (*starts)[2 * part], first_column = (*starts)[2 * part + 1];
    if (first_row < 0 || first_column < 0) node.fail("a start is negative");
    const std::int64_t rows = num_taken(node, x[1], first_row, kFirstEnd + 2 * part, (*steps)[0]);
    const std::int64_t columns = num_taken(node, x[2], first_column, kFirstEnd + 2 * part + 1, (*steps)[1]);
    if (part > 0 && (rows != patches.rows || columns != patches.columns)) node.fail("the parts differ");
    patches.rows = rows, patches.columns = columns;
    const std::int64_t offset = first_row * row + first_column * channels;
    const bool continues =
        !patches.runs.empty() && patches.runs.back().offset + patches.runs.back().count == offset;
    if (continues)
      patches.runs.back().count += channels;
    else
      patches.runs.push_back({offset, channels});
    patches.size += channels;
  }
  return patches;
}

}  // namespace

static RunFunction plan(NodePlanner& node) {
  const QuantizedLinear linear(node);
  const Patches patches = patches_of(node);
  if (patches.size != linear.num_inputs())
    node.fail("a patch must have as many values as the weights have inputs");
  node.set_output(0, {patches.batch, patches.rows, patches.columns, linear.num_outputs()});
  const std::int64_t block = std::min(kBlockPatches, patches.count());
  const std::size_t patch_bytes = static_cast<std::size_t>((block * patches.size + 15) / 16 * 64);
  const std::size_t part_bytes = patch_bytes + linear.scratch_bytes(block);
  node.need_scratch(part_bytes * static_cast<std::size_t>(node.num_threads()));
  return [=](const Operands& operands) {
    const std::int64_t num_blocks = block == 0 ? 0 : (patches.count() + block - 1) / block;
    share_loop(operands.pool, num_blocks, [&](int part, std::int64_t begin, std::int64_t end) {
      auto* scratch = static_cast<unsigned char*>(operands.scratch) + part * part_bytes;
      auto* gathered = reinterpret_cast<float*>(scratch);
      const Operands alone{operands.inputs, operands.outputs, nullptr};
      for (std::int64_t first = begin * block; first < std::min(end * block, patches.count());
           first += block) {
        const std::int64_t count = std::min(block, patches.count() - first);
        for (std::int64_t i = 0; i < count; ++i)
          patches.gather(operands.in<float>(0), first + i, gathered + i * patches.size);
        linear.run(alone, gathered, patches.size, count, nullptr,
                   operands.out<float>(0) + first * linear.num_outputs(), scratch + patch_bytes);
      }
    });
  };
}

extern const OpDefinition op_patch_linear{"PatchLinear", "fpffi*>f", plan};

}  // namespace halfbyte::ops
