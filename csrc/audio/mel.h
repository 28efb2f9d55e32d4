// Triangular mel filters, Kaldi's and Whisper's.
#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

namespace halfbyte {

// Which filters, and what stands before and after them; docs/features.md.
enum class MelDefinition { kKaldi, kWhisper };

// Filter b is a triangle from edge b over edge b+1 to edge b+2, where num_bins + 2 edges lie evenly
// in mel between low_hz and high_hz.
// Kaldi: triangles in mel = 1127 ln(1 + hz / 700), not normalised (feat/mel-computations.cc, no VTLN).
// Whisper: triangles in hz of area 1 hz, between edges on Slaney's scale: linear, 200/3 hz a mel, up to
// 1000 hz, then 27 mel for each factor of 6.4 (Auditory Toolbox, 1998).
struct MelFilters {
  struct Spectrum {
    size_t fft_size;
    double sample_rate_hz;
    size_t frame_length;  // samples that the transform sees; Whisper's energies are of a bin for each
  };
  // Requires 0 <= low_hz < high_hz <= rate / 2.
  MelFilters(MelDefinition definition, size_t num_bins, const Spectrum& spectrum, double low_hz,
             double high_hz);

  size_t num_bins() const { return first_bins.size(); }

  // The energy of a filter is the sum of power times weight in ascending bins, from first_bins[b] on.
  std::vector<int64_t> first_bins;     // (num_bins,)
  std::vector<int64_t> filter_starts;  // (num_bins + 1,) of its weights
  std::vector<double> weights;
};

}  // namespace halfbyte
