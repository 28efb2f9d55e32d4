// What all integer linear kernels share: the walk over blocks, and the epilogue.
//
// An instruction set brings a template Block<bits of a weight>:
//   static constexpr int kMaxRows, kMaxTiles                     what one call takes at most
//   static int tiles_at_once(int64_t rows, int64_t tiles_left)   outputs / 16 that one call shall take
//   static void run(int rows, int tiles, const BlockInput&, int32_t* acc)
// which writes acc (rows, tiles * 16) int32, row-major: the exact sums over K. Then
// integer_kernels<Block>() is its part of the table (float_table.h).
#pragma once
#include "kernels/generic/functions.h"
#include "kernels/generic/integer_epilogue.h"

namespace halfbyte {
namespace {

struct BlockInput {
  const int8_t* codes;     // first row of x, readable up to padded_codes(K) columns
  int64_t stride;          // from row to row
  const int32_t* sums;     // of the codes of each row
  const uint8_t* weights;  // first tile
  int64_t units;           // along K in a tile, of unit_bytes each (packing.h)
};

// A number of rows as a type, so that a kernel can keep registers for each.
template <int kRows>
struct RowCount {
  static constexpr int value = kRows;
};

// Calls kernel(RowCount<rows>{}) for rows of 1..kMaxRows, found by counting down.
template <int kMaxRows, class Kernel>
HB_INLINE void with_row_count(int rows, Kernel kernel) {
  if constexpr (kMaxRows > 1)
    if (rows < kMaxRows) return with_row_count<kMaxRows - 1>(rows, kernel);
  kernel(RowCount<kMaxRows>{});
}

// What every Block has that takes one tile at a time.
template <int kRows>
struct OneTileBlock {
  static constexpr int kMaxRows = kRows;
  static constexpr int kMaxTiles = 1;
  static int tiles_at_once(int64_t, int64_t) { return 1; }
};

// Rows that are taken together through all weights: their codes stay in the first two caches.
constexpr int kChunkRows = 64;

// Rows m.. and outputs n.. of the product.
struct BlockPlace {
  int64_t m, n;
  int rows;
  int64_t width;       // outputs, at most acc_stride
  int64_t acc_stride;  // from row to row of the sums
  const int32_t* code_sums;
};

// Of a row, whose codes beyond K are zero.
HB_INLINE int32_t sum_of_codes(const int8_t* codes, int64_t k) {
#if defined(__AVX512VNNI__)
  __m512i sums = _mm512_setzero_si512();
  for (int64_t i = 0; i < k; i += 64)
    sums = _mm512_dpbusd_epi32(sums, _mm512_set1_epi8(1), _mm512_loadu_si512(codes + i));
  return _mm512_reduce_add_epi32(sums);
#else
  int32_t sum = 0;
  for (int64_t i = 0; i < k; ++i) sum += codes[i];
  return sum;
#endif
}

template <int kBits, class Block>
HB_INLINE void run_block(const LinearOperands& g, const BlockPlace& at, int32_t* acc) {
  const int64_t units = units_of(kBits, g.x.k);
  const uint8_t* weights = g.weights + at.n / kTileOutputs * units * unit_bytes(kBits);
  Block::run(at.rows, static_cast<int>(at.acc_stride / kTileOutputs),
             {g.x.codes + at.m * g.x.stride, g.x.stride, at.code_sums, weights, units}, acc);
}

// Calls each(place) for blocks that cover rows [begin, end), at most kChunkRows, and the outputs from 0 to
// n. Passes over the weights take equal shares of the rows, so that none is left with few.
template <class Block, class Each>
HB_INLINE void for_each_block_of(const CodeRows& x, int64_t begin, int64_t end, int64_t n, Each each) {
  const int64_t rows = end - begin, passes = (rows + Block::kMaxRows - 1) / Block::kMaxRows;
  int32_t sums[kChunkRows];
  for (int64_t row = 0; row < rows; ++row) sums[row] = sum_of_codes(x.codes + (begin + row) * x.stride, x.k);
  for (int64_t tile = 0; tile < tiles_of(n);) {
    const int at_once = Block::tiles_at_once(rows, tiles_of(n) - tile);
    const int64_t first = tile * kTileOutputs, columns = at_once * kTileOutputs;
    const int64_t width = n - first < columns ? n - first : columns;
    for (int64_t pass = 0; pass < passes; ++pass) {
      const int64_t m = rows * pass / passes, next = rows * (pass + 1) / passes;
      each(BlockPlace{begin + m, first, static_cast<int>(next - m), width, columns, sums + m});
    }
    tile += at_once;
  }
}

template <class Block, class Each>
HB_INLINE void for_each_block(const CodeRows& x, int64_t n, Each each) {
  const int64_t chunks = (x.rows + kChunkRows - 1) / kChunkRows;
  for (int64_t chunk = 0; chunk < chunks; ++chunk)
    for_each_block_of<Block>(x, x.rows * chunk / chunks, x.rows * (chunk + 1) / chunks, n, each);
}

// 16 outputs from n on, of which `count` exist.
struct OutputLanes {
  Lanes scales, bias;
  IntLanes offsets = splat_int(0);

  HB_INLINE OutputLanes(const Epilogue& e, int64_t n, int64_t count) {
    const bool is_whole = count == kLanes;
    if (e.offsets != nullptr)
      offsets = is_whole ? load(e.offsets + n)
                         : as_int(load_part(reinterpret_cast<const float*>(e.offsets + n), count, 0.0f));
    scales = is_whole ? load(e.scales + n) : load_part(e.scales + n, count, 0.0f);
    bias = is_whole ? load(e.bias + n) : load_part(e.bias + n, count, 0.0f);
  }

  // ((float(acc + offset) * s_x) * s_w) + bias
  HB_INLINE Lanes of(const int32_t* acc, float s_x) const {
    return ((to_float(load(acc) + offsets) * splat(s_x)) * scales) + bias;
  }
};

// Adds the residual, if there is one, and writes `count` outputs.
HB_INLINE void store_outputs(const Epilogue& e, int64_t m, int64_t n, int64_t count, Lanes y) {
  const bool is_whole = count == kLanes;
  if (e.residual != nullptr) {
    const float* residual = e.residual + m * e.residual_stride + n;
    const Lanes before = is_whole ? load(residual) : load_part(residual, count, 0.0f);
    y = before + y * splat(e.factor);
  }
  float* out = e.out + m * e.out_stride + n;
  is_whole ? store(out, y) : store_part(out, y, count);
}

template <class Function>
HB_INLINE void store_block(const CodeRows& x, const Epilogue& e, const BlockPlace& at, const int32_t* acc,
                           Function activation) {
  for (int64_t i = 0; i < at.width; i += kLanes) {
    const int64_t count = at.width - i < kLanes ? at.width - i : kLanes;
    const OutputLanes outputs(e, at.n + i, count);
    for (int row = 0; row < at.rows; ++row) {
      const Lanes y = outputs.of(acc + row * at.acc_stride + i, x.scales[at.m + row]);
      store_outputs(e, at.m + row, at.n + i, count, activation(y));
    }
  }
}

HB_INLINE void finish_block(const CodeRows& x, const Epilogue& e, const BlockPlace& at, const int32_t* acc) {
  switch (e.activation) {
    case Activation::kSilu:
      return store_block(x, e, at, acc, [](Lanes y) { return silu_lanes(y); });
    case Activation::kRelu:
      return store_block(x, e, at, acc, [](Lanes y) { return relu_lanes(y); });
    default:
      return store_block(x, e, at, acc, [](Lanes y) { return y; });
  }
}

// Values from `acc`, gates from `gates`; the gates' scales and bias lie `half` outputs further on.
HB_INLINE void finish_glu_block(const CodeRows& x, const Epilogue& e, const BlockPlace& at,
                                const int32_t* acc, const int32_t* gates, int64_t half) {
  for (int64_t i = 0; i < at.width; i += kLanes) {
    const OutputLanes values(e, at.n + i, kLanes), of_gates(e, half + at.n + i, kLanes);
    for (int row = 0; row < at.rows; ++row) {
      const float s_x = x.scales[at.m + row];
      const Lanes gate = sigmoid_lanes(of_gates.of(gates + row * at.acc_stride + i, s_x));
      const Lanes y = values.of(acc + row * at.acc_stride + i, s_x) * gate;
      store_outputs(e, at.m + row, at.n + i, kLanes, y);
    }
  }
}

HB_INLINE void store_sums(const Epilogue& e, const BlockPlace& at, const int32_t* acc) {
  for (int row = 0; row < at.rows; ++row)
    std::memcpy(e.sums + (at.m + row) * e.out_stride + at.n, acc + row * at.acc_stride,
                at.width * sizeof(int32_t));
}

template <int kBits, class Block>
void linear_int(const LinearOperands& g, const Epilogue& e) {
  alignas(64) int32_t acc[Block::kMaxRows * Block::kMaxTiles * kTileOutputs];
  for_each_block<Block>(g.x, g.n, [&](const BlockPlace& at) {
    run_block<kBits, Block>(g, at, acc);
    if (e.sums != nullptr) return store_sums(e, at, acc);
    if (e.integer != nullptr)
      return store_integer(*e.integer, at.m, at.n, at.width, acc, at.acc_stride, at.rows);
    finish_block(g.x, e, at, acc);
  });
}

template <int kBits, class Block>
void linear_int_glu(const LinearOperands& g, const Epilogue& e) {
  constexpr int kSums = Block::kMaxRows * Block::kMaxTiles * kTileOutputs;
  alignas(64) int32_t acc[kSums];
  alignas(64) int32_t gates[kSums];
  const int64_t half = g.n / 2;
  for_each_block<Block>(g.x, half, [&](const BlockPlace& at) {
    BlockPlace gate_at = at;
    gate_at.n += half;
    run_block<kBits, Block>(g, at, acc);
    run_block<kBits, Block>(g, gate_at, gates);
    finish_glu_block(g.x, e, at, acc, gates, half);
  });
}

template <int kBits, class Block>
void linear(const LinearOperands& g, const Epilogue& e) {
  e.activation == Activation::kGlu ? linear_int_glu<kBits, Block>(g, e) : linear_int<kBits, Block>(g, e);
}

}  // namespace
}  // namespace halfbyte
