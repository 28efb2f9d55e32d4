// Sound for streams.
#pragma once
#include <cstddef>
#include <vector>

// White noise, always the same, at a quarter of full scale.
std::vector<float> noise(std::size_t num_samples);
