#include "audio/mel.h"

#include "specified_math.h"

namespace halfbyte {
namespace {

double mel_of_hz(double hz) { return 1127.0 * specified_log(1.0 + hz / 700.0); }

}  // namespace

MelFilters::MelFilters(size_t num_bins, size_t fft_size, double sample_rate_hz, double low_hz,
                       double high_hz) {
  double low = mel_of_hz(low_hz);
  double step = (mel_of_hz(high_hz) - low) / static_cast<double>(num_bins + 1);
  double bin_hz = sample_rate_hz / static_cast<double>(fft_size);
  for (size_t b = 0; b < num_bins; ++b) {
    double left = low + static_cast<double>(b) * step;
    double centre = low + static_cast<double>(b + 1) * step;
    double right = low + static_cast<double>(b + 2) * step;
    int64_t first_bin = 0;
    filter_starts.push_back(static_cast<int64_t>(weights.size()));
    for (size_t i = 0; i < fft_size / 2; ++i) {
      double mel = mel_of_hz(bin_hz * static_cast<double>(i));
      if (mel <= left || mel >= right) continue;
      if (static_cast<int64_t>(weights.size()) == filter_starts.back()) first_bin = static_cast<int64_t>(i);
      weights.push_back(mel <= centre ? (mel - left) / (centre - left) : (right - mel) / (right - centre));
    }
    first_bins.push_back(first_bin);
  }
  filter_starts.push_back(static_cast<int64_t>(weights.size()));
}

}  // namespace halfbyte
