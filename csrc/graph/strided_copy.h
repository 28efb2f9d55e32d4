#pragma once
#include <array>
#include <cstdint>

#include "graph/tensor.h"

namespace halfbyte {

// Where the elements of one tensor lie in another: element (i, j, …) of `shape` is read at
// offset + i * from[0] + j * from[1] + … and written at i * to[0] + j * to[1] + …, in elements.
// Strides of 0 repeat, negative ones read backwards.
struct StridedCopy {
  Shape shape;
  std::int64_t offset = 0;
  std::array<std::int64_t, Shape::kMaxRank> from{};
  std::array<std::int64_t, Shape::kMaxRank> to{};
  std::size_t item_bytes = 0;

  void run(const void* source, void* target) const;
  // The same copy over as few axes as possible: those of size 1 go, neighbours that both sides step
  // through evenly become one.
  StridedCopy merged() const;
};

// Row-major strides of a contiguous tensor, in elements.
std::array<std::int64_t, Shape::kMaxRank> contiguous_strides(const Shape& shape);

}  // namespace halfbyte
