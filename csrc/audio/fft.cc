#include "audio/fft.h"

#include "specified_math.h"

namespace halfbyte {

TransformTables::TransformTables(size_t size) {
  size_t points = size / 2;
  reversed.assign(points, 0);
  for (size_t i = 1; i < points; ++i) {
    reversed[i] = reversed[i / 2] / 2 + (i % 2 ? static_cast<int64_t>(points / 2) : 0);
  }
  for (size_t k = 0; k < points; ++k) {
    cosines.push_back(cos_of_turn(static_cast<int64_t>(k), static_cast<int64_t>(size)));
    sines.push_back(sin_of_turn(static_cast<int64_t>(k), static_cast<int64_t>(size)));
  }
}

}  // namespace halfbyte
