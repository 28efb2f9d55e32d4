// Kaldi's triangular mel filters.
#pragma once
#include <cstddef>
#include <vector>

namespace halfbyte {

// Filter b is a triangle in mel = 1127 ln(1 + hz / 700), from edge b over edge b+1 to edge b+2,
// where num_bins + 2 edges lie evenly between low_hz and high_hz. Triangles are not normalised.
// Source: Kaldi, feat/mel-computations.cc, without VTLN.
class MelFilters {
 public:
  // fft_size: points of the power spectrum's transform. Requires 0 <= low_hz < high_hz <= rate / 2.
  MelFilters(size_t num_bins, size_t fft_size, double sample_rate_hz, double low_hz,
             double high_hz);

  size_t num_bins() const { return filters_.size(); }

  // power: (fft_size / 2,). energies: (num_bins,), sums of power times weight in ascending bins.
  void apply(const double* power, double* energies) const;

 private:
  struct Filter {
    size_t first_bin = 0;
    std::vector<double> weights;
  };
  std::vector<Filter> filters_;
};

}  // namespace halfbyte
