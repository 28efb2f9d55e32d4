// Integer-only attention with relative positions: IntAttention(query (B, C, D), content (D), position (D),
// exponentials (E), key (B, K, D), value (B, K, D), distances (K + C - 1, D), valid (B, K)), all int8.
//
// Its three products run in the kernels of linear layers with 8-bit weights: keys, distances and values are
// packed as weights are. Distances of a model depend on shapes only, and are then packed when the plan is
// made.
#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <type_traits>
#include <vector>

#include "graph/operator.h"
#include "kernels/packing.h"
#include "ops/shared/integer_attributes.h"

namespace halfbyte::ops {

namespace {

enum Input { kQuery, kContent, kPosition, kExponentials, kKey, kValue, kDistances, kValid };

constexpr int kLargestMeanShift = 55;       // the largest shift that leaves room for seven bits more
constexpr std::int64_t kQueries = 16;       // taken together
constexpr std::int64_t kLargestHead = 256;  // so that no score leaves its bits
constexpr int kBits = 8;

struct IntegerAttentionSizes {
  std::int64_t batch, heads, width, chunk, keys;
  std::int32_t content_multiplier, position_multiplier, multiplier;
  int score_shift, shift;
  std::int64_t num_exponentials;

  std::int64_t model_width() const { return heads * width; }
  std::int64_t distances() const { return keys + chunk - 1; }
};

void check_shapes(NodePlanner& node, std::int64_t heads) {
  const Shape &query = node.shape(kQuery), &key = node.shape(kKey), &value = node.shape(kValue);
  if (query.rank() != 3 || key.rank() != 3 || key != value || key[0] != query[0] || key[2] != query[2])
    node.fail("expected query (B, C, D), key and value (B, K, D)");
  const std::int64_t d = query[2];
  if (heads < 1 || d < 1 || d % heads != 0 || d / heads > kLargestHead)
    node.fail("the number of heads must divide the width");
  if (node.shape(kContent) != Shape{d} || node.shape(kPosition) != Shape{d})
    node.fail("content and position must have one value per column");
  if (node.shape(kDistances) != Shape{key[1] + query[1] - 1, d}) node.fail("distances must fit the keys");
  if (node.shape(kValid) != Shape{key[0], key[1]}) node.fail("valid has another shape");
  if (key[1] < 1 || key[1] > 65536) node.fail("expected 1 to 65536 keys");
  if (node.shape(kExponentials).rank() != 1 || node.shape(kExponentials)[0] < 1)
    node.fail("the table of exponentials is empty");
}

IntegerAttentionSizes sizes_of(NodePlanner& node) {
  IntegerAttentionSizes s{};
  s.heads = node.attribute("heads");
  check_shapes(node, s.heads);
  const Shape& query = node.shape(kQuery);
  s.batch = query[0], s.chunk = query[1], s.width = query[2] / s.heads;
  s.keys = node.shape(kKey)[1];
  s.num_exponentials = node.shape(kExponentials)[0];
  s.content_multiplier = multiplier_attribute(node, "content_multiplier");
  s.position_multiplier = multiplier_attribute(node, "position_multiplier");
  s.score_shift = shift_attribute(node, "score_divisor");
  s.multiplier = multiplier_attribute(node, "multiplier");
  s.shift = shift_attribute(node, "divisor", kLargestMeanShift);
  return s;
}

// Rows (count, width) of x, `stride` apart, as the weights of so many outputs: a block of four inputs of an
// output is a word.
void pack_rows(const std::int8_t* x, std::int64_t stride, std::int64_t count, std::int64_t width,
               std::uint8_t* packed) {
  const std::int64_t blocks = units_of(kBits, width), whole = width / kBlockInputs;
  for (std::int64_t row = 0; row < count; ++row) {
    std::uint8_t* to = packed + row / kTileOutputs * blocks * kGroupBytes + row % kTileOutputs * kBlockInputs;
    const std::int8_t* from = x + row * stride;
    for (std::int64_t block = 0; block < whole; ++block)
      std::memcpy(to + block * kGroupBytes, from + block * kBlockInputs, kBlockInputs);
    if (whole == blocks) continue;
    std::memset(to + whole * kGroupBytes, 0, kBlockInputs);
    std::memcpy(to + whole * kGroupBytes, from + whole * kBlockInputs,
                static_cast<std::size_t>(width - whole * kBlockInputs));
  }
}

typedef std::int8_t Sixteen __attribute__((vector_size(16)));
typedef std::int16_t Eight __attribute__((vector_size(16)));

// Four rows of 16 columns -> column after column, four bytes each.
inline void interleave(const std::int8_t* const* rows, std::int8_t* to) {
  Sixteen row[4], column[4];
  for (int i = 0; i < 4; ++i) std::memcpy(&row[i], rows[i], sizeof row[i]);
  const auto lower = [](Sixteen a, Sixteen b) {
    return (Eight)__builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
  };
  const auto upper = [](Sixteen a, Sixteen b) {
    return (Eight)__builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
  };
  const Eight low01 = lower(row[0], row[1]), low23 = lower(row[2], row[3]);
  const Eight high01 = upper(row[0], row[1]), high23 = upper(row[2], row[3]);
  column[0] = (Sixteen)__builtin_shufflevector(low01, low23, 0, 8, 1, 9, 2, 10, 3, 11);
  column[1] = (Sixteen)__builtin_shufflevector(low01, low23, 4, 12, 5, 13, 6, 14, 7, 15);
  column[2] = (Sixteen)__builtin_shufflevector(high01, high23, 0, 8, 1, 9, 2, 10, 3, 11);
  column[3] = (Sixteen)__builtin_shufflevector(high01, high23, 4, 12, 5, 13, 6, 14, 7, 15);
  std::memcpy(to, column, sizeof column);
}

// Rows (count, width) of x as weights of `width` outputs with `count` inputs each: a block holds four rows.
void pack_columns(const std::int8_t* x, std::int64_t stride, std::int64_t count, std::int64_t width,
                  std::uint8_t* packed) {
  const std::int64_t blocks = units_of(kBits, count);
  const std::array<std::int8_t, kTileOutputs> nothing{};
  for (std::int64_t block = 0; block < blocks; ++block)
    for (std::int64_t column = 0; column < width; column += kTileOutputs) {
      const std::int64_t columns = std::min(kTileOutputs, width - column);
      std::array<std::array<std::int8_t, kTileOutputs>, kBlockInputs> part{};
      const std::int8_t* rows[kBlockInputs];
      for (std::int64_t i = 0; i < kBlockInputs; ++i) {
        const std::int64_t row = block * kBlockInputs + i;
        rows[i] = row < count ? x + row * stride + column : nothing.data();
        if (columns == kTileOutputs) continue;
        std::memcpy(part[i].data(), rows[i], static_cast<std::size_t>(columns));
        rows[i] = part[i].data();
      }
      interleave(rows, reinterpret_cast<std::int8_t*>(packed + (column / kTileOutputs * blocks + block) *
                                                                   kGroupBytes));
    }
}

// Memory of one head at a time, for at most kQueries queries.
struct HeadScratch {
  std::uint8_t *keys, *values, *distances;
  std::int8_t *by_content, *by_position, *weights;
  std::int32_t *content, *position, *below, *totals, *context;

  HeadScratch(const IntegerAttentionSizes& s, bool has_distances, std::uintptr_t at) {
    const auto take = [&](auto*& part, std::int64_t count) {
      part = reinterpret_cast<std::remove_reference_t<decltype(part)>>(at);
      at += (static_cast<std::size_t>(count) * sizeof *part + 63) / 64 * 64;
    };
    const std::int64_t row = padded_codes(s.width);
    take(keys, packed_bytes(kBits, s.keys, s.width));
    take(values, packed_bytes(kBits, s.width, s.keys));
    take(distances, has_distances ? 0 : packed_bytes(kBits, s.distances(), s.width));
    take(by_content, kQueries * row);
    take(by_position, kQueries * row);
    take(weights, kQueries * padded_codes(s.keys));
    take(content, kQueries * s.keys);
    take(position, kQueries * num_positions(s));
    take(below, s.keys);
    take(totals, kQueries);
    take(context, kQueries * s.width);
    end = at;
  }

  // Distances that some queries may read, the tile before them included.
  static std::int64_t num_positions(const IntegerAttentionSizes& s) {
    return s.keys + kQueries + kTileOutputs;
  }
  static std::int64_t num_bytes(const IntegerAttentionSizes& s, bool has_distances) {
    return static_cast<std::int64_t>(HeadScratch(s, has_distances, 0).end);
  }

  std::uintptr_t end;
};

class IntegerAttention {
 public:
  IntegerAttention(const IntegerAttentionSizes& sizes, const Kernels& kernels)
      : s_(sizes), kernels_(&kernels) {}

  std::int64_t scratch_bytes() const { return HeadScratch::num_bytes(s_, packed_distances_ != nullptr); }

  // Distances (K + C - 1, D) that are known beforehand.
  void pack_distances(const std::int8_t* distances) {
    const std::int64_t head_bytes = packed_bytes(kBits, s_.distances(), s_.width);
    auto packed =
        std::make_shared<std::vector<std::uint8_t>>(static_cast<std::size_t>(s_.heads * head_bytes));
    for (std::int64_t h = 0; h < s_.heads; ++h)
      pack_rows(distances + h * s_.width, s_.model_width(), s_.distances(), s_.width,
                packed->data() + h * head_bytes);
    packed_distances_ = packed;
  }

  void run(const Operands& operands) const {
    const auto memory = reinterpret_cast<std::uintptr_t>(operands.scratch);
    share_loop(operands.pool, s_.batch * s_.heads, [&](int part, std::int64_t begin, std::int64_t end) {
      const HeadScratch scratch(s_, packed_distances_ != nullptr,
                                memory + static_cast<std::uintptr_t>(part * scratch_bytes()));
      for (std::int64_t i = begin; i < end; ++i) run_head(operands, i / s_.heads, i % s_.heads, scratch);
    });
  }

 private:
  void run_head(const Operands& operands, std::int64_t b, std::int64_t h, const HeadScratch& scratch) const {
    const std::int64_t d = s_.model_width(), at = b * s_.keys * d + h * s_.width;
    pack_rows(operands.in<std::int8_t>(kKey) + at, d, s_.keys, s_.width, scratch.keys);
    pack_columns(operands.in<std::int8_t>(kValue) + at, d, s_.keys, s_.width, scratch.values);
    const std::uint8_t* distances = scratch.distances;
    if (packed_distances_ != nullptr)
      distances = packed_distances_->data() + h * packed_bytes(kBits, s_.distances(), s_.width);
    else
      pack_rows(operands.in<std::int8_t>(kDistances) + h * s_.width, d, s_.distances(), s_.width,
                scratch.distances);
    for (std::int64_t first = 0; first < s_.chunk; first += kQueries)
      run_queries(operands, b, h, first, std::min(kQueries, s_.chunk - first), distances, scratch);
  }

  // `count` queries from `first` on.
  void run_queries(const Operands& operands, std::int64_t b, std::int64_t h, std::int64_t first,
                   std::int64_t count, const std::uint8_t* distances, const HeadScratch& scratch) const {
    const std::int64_t d = s_.model_width(), at = (b * s_.chunk + first) * d + h * s_.width;
    add_bias(operands, kContent, at, h, count, scratch.by_content);
    add_bias(operands, kPosition, at, h, count, scratch.by_position);
    const CodeRows by_content = rows(scratch.by_content, count, s_.width);
    multiply({by_content, scratch.keys, s_.keys}, s_.keys, scratch.content);
    // Query i reads distances from C - 1 - i on: those of all queries, from the start of a tile.
    const std::int64_t nearest = s_.chunk - first - count, tile = nearest / kTileOutputs;
    const std::int64_t end = s_.chunk - 1 - first + s_.keys, stride = HeadScratch::num_positions(s_);
    const CodeRows by_position = rows(scratch.by_position, count, s_.width);
    const std::int64_t tile_bytes = packed_bytes(kBits, kTileOutputs, s_.width);
    multiply({by_position, distances + tile * tile_bytes, end - tile * kTileOutputs}, stride,
             scratch.position);
    kernels_->integer_only.attention_weights(
        {count, s_.keys, scratch.content, scratch.position, stride,
         s_.chunk - 1 - first - tile * kTileOutputs, operands.in<std::int8_t>(kValid) + b * s_.keys,
         operands.in<std::int8_t>(kExponentials), s_.num_exponentials, s_.content_multiplier,
         s_.position_multiplier, s_.score_shift, scratch.below, scratch.weights, padded_codes(s_.keys),
         scratch.totals});
    multiply({rows(scratch.weights, count, s_.keys), scratch.values, s_.width}, s_.width, scratch.context);
    kernels_->integer_only.attention_mean({count, s_.width, scratch.context, scratch.totals, s_.multiplier,
                                           s_.shift, operands.out<std::int8_t>(0) + at, d});
  }

  // sat8(query + bias) in rows for a product.
  void add_bias(const Operands& operands, int bias_input, std::int64_t at, std::int64_t h, std::int64_t count,
                std::int8_t* out) const {
    const std::int8_t* bias = operands.in<std::int8_t>(bias_input) + h * s_.width;
    const std::int64_t stride = padded_codes(s_.width);
    for (std::int64_t i = 0; i < count; ++i, out += stride) {
      const std::int8_t* query = operands.in<std::int8_t>(kQuery) + at + i * s_.model_width();
      for (std::int64_t k = 0; k < s_.width; ++k)
        out[k] = static_cast<std::int8_t>(std::clamp(query[k] + bias[k], -127, 127));
      std::memset(out + s_.width, 0, static_cast<std::size_t>(stride - s_.width));
    }
  }

  static CodeRows rows(std::int8_t* codes, std::int64_t count, std::int64_t k) {
    return {count, k, codes, padded_codes(k), nullptr};
  }

  void multiply(const LinearOperands& operands, std::int64_t stride, std::int32_t* out) const {
    Epilogue epilogue{nullptr, nullptr, nullptr, stride};
    epilogue.sums = out;
    kernels_->linear[kBits](operands, epilogue);
  }

  IntegerAttentionSizes s_;
  const Kernels* kernels_;
  std::shared_ptr<const std::vector<std::uint8_t>> packed_distances_;
};

}  // namespace

static RunFunction plan(NodePlanner& node) {
  IntegerAttention attention(sizes_of(node), node.kernels());
  if (node.value(kDistances).known != nullptr)
    attention.pack_distances(static_cast<const std::int8_t*>(node.value(kDistances).known));
  node.set_output(0, node.shape(kQuery));
  node.need_scratch(static_cast<std::size_t>(attention.scratch_bytes() * node.num_threads()));
  return [attention](const Operands& operands) { attention.run(operands); };
}

extern const OpDefinition op_int_attention{"IntAttention", "cccccccc>c", plan};

}  // namespace halfbyte::ops
