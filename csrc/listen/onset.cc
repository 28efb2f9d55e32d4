#include "listen/onset.h"

#include <algorithm>
#include <numeric>
#include <vector>

namespace halfbyte {
namespace {

constexpr float kLouder = 2.5f;         // natural logarithm of energy
constexpr std::size_t kLeastQuiet = 5;  // frames; a shorter pause is part of a word

std::vector<bool> loud_frames(const FloatRows& features) {
  std::vector<float> means;
  for (std::size_t t = 0; t < features.num_rows; ++t) {
    const float* frame = features.data + t * features.num_columns;
    means.push_back(std::accumulate(frame, frame + features.num_columns, 0.0f) /
                    static_cast<float>(features.num_columns));
  }
  const float floor = *std::min_element(means.begin(), means.end());
  std::vector<bool> loud;
  for (const float mean : means) loud.push_back(mean > floor + kLouder);
  return loud;
}

}  // namespace

std::size_t num_onset_frames(const FloatRows& features, std::size_t most_quiet_frames) {
  if (features.num_rows == 0) return 0;
  const std::vector<bool> loud = loud_frames(features);
  std::size_t num_loud = 0, num_quiet = 0;
  for (std::size_t n = 1; n <= loud.size() && num_quiet < most_quiet_frames; ++n) {
    if (!loud[loud.size() - n]) {
      ++num_quiet;
    } else if (num_quiet >= kLeastQuiet) {
      break;  // the sound before
    } else {
      num_loud = n;
      num_quiet = 0;
    }
  }
  return num_loud > 0 && num_quiet >= kLeastQuiet ? num_loud + num_quiet : 0;
}

}  // namespace halfbyte
