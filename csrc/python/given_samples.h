// Samples as callers of Python have them.
#pragma once
#include <vector>

#include "python/arrays.h"

namespace halfbyte::python {

// Any buffer, whatever it holds: what it should hold says floats_of().
using GivenSamples = nb::ndarray<nb::ro, nb::device::cpu>;

// The samples of one channel, (S,) or (S, 1) with any strides, as float32: int16 codes are divided by 32768,
// float64 is rounded. Throws Error(kUsage), which names the type and shape, for anything else. Under the GIL.
std::vector<float> floats_of(const GivenSamples& samples);

}  // namespace halfbyte::python
