#include "graph/broadcast.h"

namespace halfbyte {

std::array<std::int64_t, Shape::kMaxRank> broadcast_strides(const Shape& from, const Shape& to) {
  std::array<std::int64_t, Shape::kMaxRank> strides{};
  std::int64_t stride = 1;
  for (int i = 1; i <= from.rank(); ++i) {
    const std::int64_t size = from[from.rank() - i];
    strides[to.rank() - i] = size == 1 ? 0 : stride;
    stride *= size;
  }
  return strides;
}

}  // namespace halfbyte
