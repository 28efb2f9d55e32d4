// Pauses of a segment: where nobody speaks, no token belongs.
#pragma once
#include <cstddef>
#include <vector>

#include "graph/graph_runner.h"

namespace halfbyte {

// The level of each encoder step of a window (T, F) of log-mel energies: that of its loudest band.
std::vector<float> levels_of(const FloatRows& window, std::size_t num_steps, std::size_t frames_per_step);

// Log-probabilities (T, V) for an alignment, in which a token in a pause is all but impossible. A step is in
// a pause if it and its neighbours are at most 2.5 (11 dB) above the tenth part of steps that is quietest; a
// segment of nothing else has none. A CTC head may say a word a second after it, in the silence that follows:
// it learns when to be sure of a word, not where the word is.
std::vector<float> without_pauses(std::vector<float> log_probs, const std::vector<float>& levels,
                                  int blank_id);

}  // namespace halfbyte
