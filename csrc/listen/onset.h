// Where the sound that goes on at the end of some frames began.
#pragma once
#include <cstddef>

#include "graph/graph_runner.h"

namespace halfbyte {

// Frames at the end of (T, F) log-mel energies that hold a sound which goes on there, and the quiet
// before it, at most `most_quiet_frames`; 0 where the end is quiet, or where no quiet comes before the
// sound. Loud is a frame whose mean energy is more than 2.5 (11 dB) above that of the quietest; pauses
// of less than 50 ms belong to the sound.
std::size_t num_onset_frames(const FloatRows& features, std::size_t most_quiet_frames);

}  // namespace halfbyte
