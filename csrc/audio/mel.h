// Kaldi's triangular mel filters.
#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

namespace halfbyte {

// Filter b is a triangle in mel = 1127 ln(1 + hz / 700), from edge b over edge b+1 to edge b+2,
// where num_bins + 2 edges lie evenly between low_hz and high_hz. Triangles are not normalised.
// Source: Kaldi, feat/mel-computations.cc, without VTLN.
struct MelFilters {
  // fft_size: points of the power spectrum's transform. Requires 0 <= low_hz < high_hz <= rate / 2.
  MelFilters(size_t num_bins, size_t fft_size, double sample_rate_hz, double low_hz, double high_hz);

  size_t num_bins() const { return first_bins.size(); }

  // The energy of a filter is the sum of power times weight in ascending bins, from first_bins[b] on.
  std::vector<int64_t> first_bins;     // (num_bins,)
  std::vector<int64_t> filter_starts;  // (num_bins + 1,) of its weights
  std::vector<double> weights;
};

}  // namespace halfbyte
