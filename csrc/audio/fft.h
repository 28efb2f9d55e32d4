// Power spectrum of a real frame.
#pragma once
#include <cstddef>
#include <vector>

namespace halfbyte {

// |DFT|^2 of `size` real values for bins 0 .. size/2 - 1 (the Nyquist bin is left out: Kaldi's mel
// filters do not use it). A complex radix-2 transform of size/2 points, then the split into even and
// odd samples; double throughout, one order of operations, so one answer on every machine.
class PowerSpectrum {
 public:
  // size: a power of two, at least 4.
  explicit PowerSpectrum(size_t size);

  // frame: (size,) values, overwritten. power: (size / 2,) values, written.
  void compute(double* frame, double* power) const;

 private:
  void transform(double* pairs) const;

  size_t size_;
  std::vector<size_t> reversed_;          // (size/2,) bit-reversed index of each complex point
  std::vector<double> cosines_, sines_;   // (size/2,) of 2 pi k / size
};

}  // namespace halfbyte
