// Tables of the transform of real frames.
#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

namespace halfbyte {

// For |DFT|^2 of `size` real values, bins 0 .. size/2 - 1 (the Nyquist bin is left out: Kaldi's mel
// filters do not use it): a complex radix-2 transform of size/2 points, then the split into even and
// odd samples; double throughout, one order of operations, so one answer on every machine. The
// kernel log_mel runs it.
struct TransformTables {
  // size: a power of two, at least 4.
  explicit TransformTables(size_t size);

  std::vector<int64_t> reversed;       // (size/2,) bit-reversed index of each complex point
  std::vector<double> cosines, sines;  // (size/2,) of 2 pi k / size
};

}  // namespace halfbyte
