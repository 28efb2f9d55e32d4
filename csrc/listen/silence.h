// Digital silence: audio in which nobody can have spoken, so no word may come out of it.
#pragma once
#include <cstddef>
#include <vector>

#include "listen/acoustic_model.h"

namespace halfbyte {

// Whether all frames of a window (T, F) of log-mel energies are digital silence.
bool is_silence(const FloatRows& features);

// Encoder steps, of `num_steps`, at the start of a window whose frames are all digital silence.
std::size_t num_silent_steps(const FloatRows& features, const ModelSettings& settings, std::size_t num_steps);

// Makes the first `num_steps` steps of log-probabilities (C, V) certain to be blank.
void make_blank(std::size_t num_steps, const ModelSettings& settings, std::vector<float>* log_probs);

}  // namespace halfbyte
