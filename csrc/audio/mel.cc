#include "audio/mel.h"

#include "specified_math.h"

namespace halfbyte {
namespace {

constexpr double kSlaneyHz = 200.0 / 3.0;  // of a mel up to the break
constexpr double kSlaneyBreakHz = 1000.0;  // 15 mel
constexpr double kSlaneyBreakMel = 15.0;
constexpr double kSlaneyStep = 27.0;  // mel in which the frequency grows by the factor below
constexpr double kSlaneyFactor = 6.4;

double mel_of_hz(double hz) { return 1127.0 * specified_log(1.0 + hz / 700.0); }

double slaney_of_hz(double hz) {
  if (hz < kSlaneyBreakHz) return hz / kSlaneyHz;
  return kSlaneyBreakMel + kSlaneyStep * (specified_log(hz / kSlaneyBreakHz) / specified_log(kSlaneyFactor));
}

double hz_of_slaney(double mel) {
  if (mel < kSlaneyBreakMel) return mel * kSlaneyHz;
  return kSlaneyBreakHz * specified_exp(specified_log(kSlaneyFactor) / kSlaneyStep * (mel - kSlaneyBreakMel));
}

// Height of the triangle over left, centre and right at a place; 0 outside.
double triangle(double at, double left, double centre, double right) {
  if (at <= left || at >= right) return 0.0;
  return at <= centre ? (at - left) / (centre - left) : (right - at) / (right - centre);
}

}  // namespace

MelFilters::MelFilters(MelDefinition definition, size_t num_bins, const Spectrum& spectrum, double low_hz,
                       double high_hz) {
  const bool is_kaldi = definition == MelDefinition::kKaldi;
  const double low = is_kaldi ? mel_of_hz(low_hz) : slaney_of_hz(low_hz);
  const double high = is_kaldi ? mel_of_hz(high_hz) : slaney_of_hz(high_hz);
  const double step = (high - low) / static_cast<double>(num_bins + 1);
  const double bin_hz = spectrum.sample_rate_hz / static_cast<double>(spectrum.fft_size);
  const auto edge = [&](size_t i) {
    const double mel = low + static_cast<double>(i) * step;
    return is_kaldi ? mel : hz_of_slaney(mel);
  };
  for (size_t b = 0; b < num_bins; ++b) {
    const double left = edge(b), centre = edge(b + 1), right = edge(b + 2);
    const double height =
        is_kaldi ? 1.0
                 : 2.0 / (right - left) *
                       (static_cast<double>(spectrum.frame_length) / static_cast<double>(spectrum.fft_size));
    int64_t first_bin = 0;
    filter_starts.push_back(static_cast<int64_t>(weights.size()));
    for (size_t i = 0; i < spectrum.fft_size / 2; ++i) {
      const double hz = bin_hz * static_cast<double>(i);
      const double weight = triangle(is_kaldi ? mel_of_hz(hz) : hz, left, centre, right);
      if (weight <= 0.0) continue;
      if (static_cast<int64_t>(weights.size()) == filter_starts.back()) first_bin = static_cast<int64_t>(i);
      weights.push_back(weight * height);
    }
    first_bins.push_back(first_bin);
  }
  filter_starts.push_back(static_cast<int64_t>(weights.size()));
}

}  // namespace halfbyte
