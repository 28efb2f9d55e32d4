// Digital silence: audio in which nobody can have spoken, so no word may come out of it.
#pragma once
#include <cstdint>
#include <string>

#include "graph/graph_runner.h"
#include "listen/settings.h"

namespace halfbyte {

// Whether all frames of a window (T, F) of log-mel energies are digital silence.
bool is_silence(const FloatRows& features);

// Makes a segment say nothing until its first sound, whatever the model makes of digital silence: the CTC
// log-probabilities of its silent steps become certain blanks.
class SilenceMask {
 public:
  SilenceMask(const ModelSettings& settings, int blank_id) : settings_(&settings), blank_id_(blank_id) {}

  // Counts the silent steps of the next chunk. `num_steps`: of the segment before it, and of the chunk.
  void accept(const FloatRows& window, int64_t num_steps_before, int64_t num_chunk_steps);
  // Masks log-probabilities (1, C, V) of a chunk that begins after `num_steps_before` steps.
  void apply(int64_t num_steps_before, GraphOutputValues* log_probs) const;
  // Whether a segment of so many steps holds no sound at all.
  bool covers(int64_t num_steps) const { return num_silent_steps_ == num_steps; }

  int64_t num_silent_steps() const { return num_silent_steps_; }
  void restore(int64_t num_silent_steps) { num_silent_steps_ = num_silent_steps; }

 private:
  const ModelSettings* settings_;
  int blank_id_;
  int64_t num_silent_steps_ = 0;  // before the first sound
};

}  // namespace halfbyte
