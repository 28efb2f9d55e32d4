// Attention of one chunk of a stream to its left context and itself, in one operator: what was a score
// product, a shift of distances, masking, softmax and a value product, in the same order of operations.
#include <algorithm>
#include <array>
#include <cstring>
#include <numeric>
#include <utility>

#include "graph/broadcast.h"
#include "graph/operator.h"
#include "graph/strided_copy.h"

namespace halfbyte::ops {

namespace {

enum Input {
  kQuery,
  kKey,
  kValue,
  kPastKey,
  kPastValue,
  kPosition,
  kContentBias,
  kPositionBias,
  kMask,
  kKeepFrom
};

// Sizes: C steps of the chunk, L of left context, K = L + C keys, P positions, H heads of width dk.
struct AttentionSizes {
  std::int64_t batch, heads, width, chunk, left, keys, positions, kept;
  std::int64_t query_stride, key_stride, value_stride;  // of a step, in elements
  std::int64_t query_column, key_column, value_column;  // where the first head begins
  std::int64_t position_batch_stride;
  std::array<std::int64_t, Shape::kMaxRank> mask_strides;
  bool is_shifted;
  float scale;

  std::int64_t model_width() const { return heads * width; }
};

// Memory of one head at a time.
struct HeadScratch {
  float *by_content, *by_position;  // queries with a bias each, (C, dk)
  float* keys;                      // (dk, K)
  float* scores;                    // (C, K)
  float* position_scores;           // (C, P)

  HeadScratch(const AttentionSizes& s, float* at) {
    const std::array<std::int64_t, 5> floats = part_floats(s);
    std::array<float*, 5> parts;
    for (std::size_t i = 0; i < parts.size(); ++i) parts[i] = std::exchange(at, at + floats[i]);
    by_content = parts[0], by_position = parts[1];
    keys = parts[2];
    scores = parts[3], position_scores = parts[4];
  }

  static std::array<std::int64_t, 5> part_floats(const AttentionSizes& s) {
    std::array<std::int64_t, 5> floats{s.chunk * s.width, s.chunk * s.width, s.width * s.keys,
                                       s.chunk * s.keys, s.chunk * s.positions};
    for (std::int64_t& count : floats) count = (count + 15) / 16 * 16;
    return floats;
  }

  static std::int64_t num_floats(const AttentionSizes& s) {
    const auto floats = part_floats(s);
    return std::accumulate(floats.begin(), floats.end(), std::int64_t{0});
  }
};

// A column of heads, `columns` says which: (B, C, columns), of which H * dk from there are taken.
void check_projection(NodePlanner& node, int input, std::int64_t column, const AttentionSizes& s) {
  const Shape& shape = node.shape(input);
  if (shape.rank() != 3 || shape[0] != s.batch || shape[1] != s.chunk || column < 0 ||
      column > shape[2] - s.model_width())
    node.fail("queries, keys and values must be (B, C, columns) with H * dk columns each");
}

AttentionSizes sizes_of(NodePlanner& node) {
  AttentionSizes s{};
  const Shape &query = node.shape(kQuery), &past = node.shape(kPastKey);
  const Shape& position = node.shape(kPosition);
  if (query.rank() != 3 || past.rank() != 4 || position.rank() != 4)
    node.fail("expected query (B, C, D), past keys (B, H, L, dk), positions (1 or B, H, dk, P)");
  s.batch = query[0], s.chunk = query[1];
  s.heads = past[1], s.left = past[2], s.width = past[3];
  s.keys = s.left + s.chunk;
  s.positions = position[3];
  s.is_shifted = node.attribute("shift") != 0;
  s.scale = node.real_attribute("scale", 1.0f);
  const auto* columns = node.numbers_attribute("columns");
  if (columns == nullptr || columns->size() != 3) node.fail("columns must be three numbers");
  for (int i = 0; i < 3; ++i) check_projection(node, kQuery + i, (*columns)[i], s);
  s.query_column = (*columns)[0], s.key_column = (*columns)[1], s.value_column = (*columns)[2];
  s.query_stride = query[2], s.key_stride = node.shape(kKey)[2], s.value_stride = node.shape(kValue)[2];
  if (past != Shape{s.batch, s.heads, s.left, s.width} || node.shape(kPastValue) != past)
    node.fail("past keys and values must both be (B, H, L, dk)");
  const std::int64_t expected = s.is_shifted ? s.keys + s.chunk - 1 : s.keys;
  if (position != Shape{position[0], s.heads, s.width, expected} ||
      (position[0] != 1 && position[0] != s.batch))
    node.fail("positions must be (1 or B, H, dk, P)");
  s.position_batch_stride = position[0] == 1 ? 0 : s.model_width() * s.positions;
  for (int bias : {kContentBias, kPositionBias})
    if (node.shape(bias).num_elements() != s.model_width()) node.fail("a bias must be (H, 1, dk)");
  const Shape scores{s.batch, s.heads, s.chunk, s.keys};
  if (node.shape(kMask).rank() != 4 || broadcast_shape(node, node.shape(kMask), scores) != scores ||
      node.shape(kMask)[3] != s.keys)
    node.fail("the mask must broadcast to (B, H, C, K) and have K columns");
  s.mask_strides = broadcast_strides(node.shape(kMask), scores);
  return s;
}

// First kept key: a bound as Slice reads it.
std::int64_t kept_from(NodePlanner& node, std::int64_t keys) {
  const std::int64_t from = node.known_number(kKeepFrom);
  return std::clamp<std::int64_t>(from < 0 ? from + keys : from, 0, keys);
}

typedef float Four __attribute__((vector_size(16), aligned(4), may_alias));

// Element (i, d) of four rows goes to row d, column i.
inline void turn_4x4(const float* rows, std::int64_t row_stride, float* columns, std::int64_t stride) {
  const auto row = [&](int i) { return *reinterpret_cast<const Four*>(rows + i * row_stride); };
  const auto put = [&](int d, Four v) { *reinterpret_cast<Four*>(columns + d * stride) = v; };
  const Four a = row(0), b = row(1), c = row(2), d = row(3);
  const Four ab01 = __builtin_shufflevector(a, b, 0, 4, 1, 5),
             cd01 = __builtin_shufflevector(c, d, 0, 4, 1, 5);
  const Four ab23 = __builtin_shufflevector(a, b, 2, 6, 3, 7),
             cd23 = __builtin_shufflevector(c, d, 2, 6, 3, 7);
  put(0, __builtin_shufflevector(ab01, cd01, 0, 1, 4, 5));
  put(1, __builtin_shufflevector(ab01, cd01, 2, 3, 6, 7));
  put(2, __builtin_shufflevector(ab23, cd23, 0, 1, 4, 5));
  put(3, __builtin_shufflevector(ab23, cd23, 2, 3, 6, 7));
}

// Asks for rows that are read soon, some columns at a time, which the processor would not foresee.
inline void prefetch(const float* floats, std::int64_t count) {
  for (std::int64_t i = 0; i < count; i += 16) __builtin_prefetch(floats + i, 0, 2);
}

class Attention {
 public:
  Attention(const AttentionSizes& sizes, const Kernels& kernels) : s_(sizes), kernels_(&kernels) {}

  void run(const Operands& operands) const {
    auto* memory = static_cast<float*>(operands.scratch);
    share_loop(operands.pool, s_.batch * s_.heads, [&](int part, std::int64_t begin, std::int64_t end) {
      const HeadScratch scratch(s_, memory + part * HeadScratch::num_floats(s_));
      for (std::int64_t i = begin; i < end; ++i) run_head(operands, i / s_.heads, i % s_.heads, scratch);
    });
  }

 private:
  void run_head(const Operands& operands, std::int64_t b, std::int64_t h, const HeadScratch& scratch) const {
    const std::int64_t dk = s_.width;
    const float* position =
        operands.in<float>(kPosition) + b * s_.position_batch_stride + h * dk * s_.positions;
    prefetch(position, dk * s_.positions);
    prefetch(operands.in<float>(kPastValue) + (b * s_.heads + h) * s_.left * dk, s_.left * dk);
    add_biases(operands, b, h, scratch);
    gather_keys(operands, b, h, scratch);
    kernels_->gemm_f32({s_.chunk, s_.keys, dk, scratch.by_content, dk, 1, scratch.keys, s_.keys, 1,
                        scratch.scores, s_.keys});
    kernels_->gemm_f32({s_.chunk, s_.positions, dk, scratch.by_position, dk, 1, position, s_.positions, 1,
                        scratch.position_scores, s_.positions});
    finish_scores(operands, b, h, scratch);
    weigh_values(operands, b, h, scratch);
  }

  void add_biases(const Operands& operands, std::int64_t b, std::int64_t h,
                  const HeadScratch& scratch) const {
    const std::int64_t dk = s_.width;
    const float* query =
        operands.in<float>(kQuery) + b * s_.chunk * s_.query_stride + s_.query_column + h * dk;
    for (std::int64_t i = 0; i < s_.chunk; ++i, query += s_.query_stride) {
      kernels_->add(query, operands.in<float>(kContentBias) + h * dk, dk, scratch.by_content + i * dk);
      kernels_->add(query, operands.in<float>(kPositionBias) + h * dk, dk, scratch.by_position + i * dk);
    }
  }

  // Past and new keys, turned to (dk, K); the next state keeps the last of them.
  void gather_keys(const Operands& operands, std::int64_t b, std::int64_t h,
                   const HeadScratch& scratch) const {
    const std::int64_t dk = s_.width, head = b * s_.heads + h;
    const float* past = operands.in<float>(kPastKey) + head * s_.left * dk;
    const float* fresh = operands.in<float>(kKey) + b * s_.chunk * s_.key_stride + s_.key_column + h * dk;
    float* next = operands.out<float>(1) + head * s_.kept * dk;
    turn(past, dk, s_.left, scratch.keys);
    turn(fresh, s_.key_stride, s_.chunk, scratch.keys + s_.left);
    keep_last(past, fresh, s_.key_stride, next);
  }

  // Sums over past values, then new ones, read where they lie; the next state keeps the last of them.
  void weigh_values(const Operands& operands, std::int64_t b, std::int64_t h,
                    const HeadScratch& scratch) const {
    const std::int64_t dk = s_.width, head = b * s_.heads + h;
    const float* past = operands.in<float>(kPastValue) + head * s_.left * dk;
    const float* fresh =
        operands.in<float>(kValue) + b * s_.chunk * s_.value_stride + s_.value_column + h * dk;
    float* context = operands.out<float>(0) + b * s_.chunk * s_.model_width() + h * dk;
    kernels_->gemm_f32(
        {s_.chunk, dk, s_.left, scratch.scores, s_.keys, 1, past, dk, 1, context, s_.model_width()});
    kernels_->gemm_f32({s_.chunk, dk, s_.chunk, scratch.scores + s_.left, s_.keys, 1, fresh, s_.value_stride,
                        1, context, s_.model_width(), true});
    keep_last(past, fresh, s_.value_stride, operands.out<float>(2) + head * s_.kept * dk);
  }

  // The last `kept` of past rows (L, dk) and new ones.
  void keep_last(const float* past, const float* fresh, std::int64_t stride, float* next) const {
    const std::int64_t dk = s_.width, dropped = s_.keys - s_.kept;
    const std::int64_t from_past = std::max<std::int64_t>(s_.left - dropped, 0);
    if (from_past > 0) std::memcpy(next, past + dropped * dk, from_past * dk * sizeof(float));
    for (std::int64_t i = from_past; i < s_.kept; ++i)
      std::memcpy(next + i * dk, fresh + (i + dropped - s_.left) * stride, dk * sizeof(float));
  }

  // rows (count, dk) become `count` columns of a matrix (dk, K).
  void turn(const float* rows, std::int64_t row_stride, std::int64_t count, float* columns) const {
    const std::int64_t whole = count / 4 * 4, wide = s_.width / 4 * 4;
    for (std::int64_t i = 0; i < whole; i += 4)
      for (std::int64_t d = 0; d < wide; d += 4)
        turn_4x4(rows + i * row_stride + d, row_stride, columns + d * s_.keys + i, s_.keys);
    for (std::int64_t d = 0; d < s_.width; ++d)
      for (std::int64_t i = d < wide ? whole : 0; i < count; ++i)
        columns[d * s_.keys + i] = rows[i * row_stride + d];
  }

  // softmax((content + position) * scale + mask); with a shift, row i reads distances from C - 1 - i on.
  void finish_scores(const Operands& operands, std::int64_t b, std::int64_t h,
                     const HeadScratch& scratch) const {
    for (std::int64_t i = 0; i < s_.chunk; ++i) {
      float* row = scratch.scores + i * s_.keys;
      const float* position =
          scratch.position_scores + i * s_.positions + (s_.is_shifted ? s_.chunk - 1 - i : 0);
      const float* mask = operands.in<float>(kMask) + b * s_.mask_strides[0] + h * s_.mask_strides[1] +
                          i * s_.mask_strides[2];
      kernels_->add(row, position, s_.keys, row);
      kernels_->scale(row, s_.scale, s_.keys, row);
      kernels_->add(row, mask, s_.keys, row);
    }
    kernels_->softmax(scratch.scores, s_.chunk, s_.keys, scratch.scores);
  }

  AttentionSizes s_;
  const Kernels* kernels_;
};

}  // namespace

static RunFunction plan(NodePlanner& node) {
  if (node.num_outputs() != 3) node.fail("it gives context, next keys and next values");
  AttentionSizes sizes = sizes_of(node);
  sizes.kept = sizes.keys - kept_from(node, sizes.keys);
  node.set_output(0, {sizes.batch, sizes.chunk, sizes.model_width()});
  for (int next : {1, 2}) node.set_output(next, {sizes.batch, sizes.heads, sizes.kept, sizes.width});
  if (sizes.chunk == 0 || sizes.width == 0) node.fail("the chunk has no steps");
  node.need_scratch(static_cast<std::size_t>(HeadScratch::num_floats(sizes) * node.num_threads()) *
                    sizeof(float));
  return
      [attention = Attention(sizes, node.kernels())](const Operands& operands) { attention.run(operands); };
}

extern const OpDefinition op_chunk_attention{"ChunkAttention", "fffffffffi>f*", plan};

}  // namespace halfbyte::ops
