// Room: quiet noise where audio is missing. A model has heard words with quiet around them; a clip cut tight,
// or a word after a muted microphone, begins without. Room stands before the first sound of a stream, after
// its last, and in place of digital silence that is cut off before a segment.
#pragma once
#include <cstddef>
#include <vector>

#include "audio/fbank.h"
#include "graph/graph_runner.h"

namespace halfbyte {

class Room {
 public:
  explicit Room(const FbankOptions& options);

  // 100 ms of noise at -60 dBFS, the same in every stream: (S,).
  const std::vector<float>& samples() const { return samples_; }
  // The features of as much: (N, F).
  const std::vector<float>& frames() const { return frames_; }
  std::size_t num_frames() const { return num_frames_; }
  // Whether the frames that are ready begin with those of room.
  bool precedes(const Fbank& fbank) const;
  // How many of (T, F) frames come before the first sound: zeros, or noise of no more than one 16-bit step,
  // in which nobody can have spoken.
  std::size_t num_silent_frames(const FloatRows& features) const;

 private:
  std::vector<float> samples_, frames_;
  std::size_t num_frames_;
  float loudest_silence_;  // log-mel energy
};

}  // namespace halfbyte
