#include "graph/strided_copy.h"

#include <cstring>

namespace halfbyte {
namespace {

// The last axis, item by item.
template <class T>
void copy_items(const T* from, std::int64_t from_stride, T* to, std::int64_t to_stride, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) to[i * to_stride] = from[i * from_stride];
}

// Both last axes: in blocks, so that a transposition touches each cache line few times.
template <class T>
void copy_plane(const T* from, const std::int64_t* from_strides, T* to, const std::int64_t* to_strides,
                std::int64_t rows, std::int64_t columns) {
  constexpr std::int64_t kBlock = 16;
  for (std::int64_t column = 0; column < columns; column += kBlock) {
    const std::int64_t width = columns - column < kBlock ? columns - column : kBlock;
    for (std::int64_t row = 0; row < rows; ++row)
      copy_items(from + row * from_strides[0] + column * from_strides[1], from_strides[1],
                 to + row * to_strides[0] + column * to_strides[1], to_strides[1], width);
  }
}

template <class T>
void copy_axis(const StridedCopy& copy, int axis, const T* from, T* to) {
  const int left = copy.shape.rank() - axis;
  const std::int64_t size = left > 0 ? copy.shape[axis] : 1;
  const bool is_plain = left <= 1 && copy.from[axis] == 1 && copy.to[axis] == 1;
  if (is_plain) {
    std::memcpy(to, from, static_cast<std::size_t>(size) * sizeof(T));
  } else if (left <= 1) {
    copy_items(from, left ? copy.from[axis] : 1, to, left ? copy.to[axis] : 1, size);
  } else if (left == 2 && copy.from[axis + 1] != 1) {
    copy_plane(from, &copy.from[axis], to, &copy.to[axis], size, copy.shape[axis + 1]);
  } else {
    for (std::int64_t i = 0; i < size; ++i)
      copy_axis(copy, axis + 1, from + i * copy.from[axis], to + i * copy.to[axis]);
  }
}

template <class T>
void copy_all(const StridedCopy& copy, const void* source, void* target) {
  copy_axis(copy, 0, static_cast<const T*>(source) + copy.offset, static_cast<T*>(target));
}

}  // namespace

void StridedCopy::run(const void* source, void* target) const {
  if (shape.num_elements() == 0) return;
  switch (item_bytes) {
    case 1:
      return copy_all<std::uint8_t>(*this, source, target);
    case 4:
      return copy_all<std::uint32_t>(*this, source, target);
    default:
      return copy_all<std::uint64_t>(*this, source, target);
  }
}

StridedCopy StridedCopy::merged() const {
  StridedCopy copy;
  copy.offset = offset;
  copy.item_bytes = item_bytes;
  for (int axis = 0; axis < shape.rank(); ++axis) {
    if (shape[axis] == 1) continue;
    const int last = copy.shape.rank() - 1;
    if (last >= 0 && copy.from[last] == from[axis] * shape[axis] && copy.to[last] == to[axis] * shape[axis]) {
      copy.shape[last] *= shape[axis];
    } else {
      copy.shape.push_back(shape[axis]);
    }
    const int at = copy.shape.rank() - 1;
    copy.from[at] = from[axis];
    copy.to[at] = to[axis];
  }
  return copy;
}

std::array<std::int64_t, Shape::kMaxRank> contiguous_strides(const Shape& shape) {
  std::array<std::int64_t, Shape::kMaxRank> strides{};
  std::int64_t stride = 1;
  for (int axis = shape.rank() - 1; axis >= 0; --axis) {
    strides[axis] = stride;
    stride *= shape[axis];
  }
  return strides;
}

}  // namespace halfbyte
