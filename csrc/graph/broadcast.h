// Walks tensors of different shapes together, as numpy broadcasts them.
#pragma once
#include <array>
#include <cstdint>

#include "graph/tensor.h"

namespace halfbyte {

// Strides, in elements, of a contiguous tensor of shape `from` seen as `to`: 0 along repeated axes.
std::array<std::int64_t, Shape::kMaxRank> broadcast_strides(const Shape& from, const Shape& to);

// The walk over an output of `shape` with kInputs inputs. Neighbouring axes that all tensors step
// through evenly are merged, so that the innermost axis is as long as it can be.
template <int kInputs>
class BroadcastWalk {
 public:
  BroadcastWalk(const Shape& shape, const std::array<Shape, kInputs>& inputs) {
    std::array<std::array<std::int64_t, Shape::kMaxRank>, kInputs> strides;
    for (int i = 0; i < kInputs; ++i) strides[i] = broadcast_strides(inputs[i], shape);
    for (int axis = shape.rank() - 1; axis >= 0; --axis) {
      if (shape[axis] == 1) continue;
      bool merges = rank_ > 0;
      for (int i = 0; merges && i < kInputs; ++i)
        merges = strides[i][axis] == strides_[rank_ - 1][i] * sizes_[rank_ - 1];
      if (merges) {
        sizes_[rank_ - 1] *= shape[axis];
        continue;
      }
      sizes_[rank_] = shape[axis];
      for (int i = 0; i < kInputs; ++i) strides_[rank_][i] = strides[i][axis];
      ++rank_;
    }
    if (rank_ == 0) {
      sizes_[0] = 1;
      for (int i = 0; i < kInputs; ++i) strides_[0][i] = 0;
      rank_ = 1;
    }
    for (int axis = 0; axis < rank_; ++axis) is_empty_ = is_empty_ || sizes_[axis] == 0;
  }

  std::int64_t inner_size() const { return sizes_[0]; }
  std::int64_t inner_stride(int input) const { return strides_[0][input]; }

  // Calls row(out_offset, input_offsets) for each innermost row; offsets are in elements.
  template <class Row>
  void each_row(Row row) const {
    if (is_empty_) return;
    std::array<std::int64_t, kInputs> offsets{};
    std::array<std::int64_t, Shape::kMaxRank> at{};
    std::int64_t out = 0;
    while (true) {
      row(out, offsets);
      out += sizes_[0];
      int axis = 1;
      for (; axis < rank_; ++axis) {
        for (int i = 0; i < kInputs; ++i) offsets[i] += strides_[axis][i];
        if (++at[axis] < sizes_[axis]) break;
        for (int i = 0; i < kInputs; ++i) offsets[i] -= strides_[axis][i] * sizes_[axis];
        at[axis] = 0;
      }
      if (axis >= rank_) return;
    }
  }

 private:
  int rank_ = 0;
  bool is_empty_ = false;
  std::array<std::int64_t, Shape::kMaxRank> sizes_{};  // innermost first
  std::array<std::array<std::int64_t, kInputs>, Shape::kMaxRank> strides_{};
};

}  // namespace halfbyte
