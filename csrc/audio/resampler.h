// Streaming change of sample rate.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace halfbyte {

// Output sample n is the input, low-pass filtered, at the time n / rate_out_hz: no delay. The filter
// is a sinc under a Kaiser window, 64 zero crossings on each side: flat up to 0.9 of half the lower
// rate, 90 dB down from there on. S input samples give ceil(S * rate_out / rate_in); before the
// first and after the last input there is silence. The same bits however the input is split; equal
// rates pass samples through. Copying the object copies the state of the stream.
class Resampler {
 public:
  // Both rates 8000 to 192000 Hz, any integers; throws Error(kAudio) for others.
  Resampler(int rate_in_hz, int rate_out_hz);
  // Throws Error(kAudio) for a rate that cannot be resampled.
  static void check_rate(int64_t rate_hz);

  // Takes in (num_samples,) samples and returns those that are settled. Throws Error(kAudio) on NaN
  // or infinity, Error(kUsage) after finish().
  std::vector<float> accept(const float* samples, size_t num_samples);
  // No more samples follow; returns the rest.
  std::vector<float> finish();
  // Back to the start of a new stream.
  void reset();

  int rate_in_hz() const { return rate_in_hz_; }
  int rate_out_hz() const { return rate_out_hz_; }
  // Input samples after which output sample `index` is settled.
  int64_t num_in_samples_for(int64_t index) const;

  // The state of the stream as bytes (native byte order), and back, into a resampler of the same
  // rates; throws Error(kInput) if the bytes do not fit.
  std::string save() const;
  void restore(const std::string& bytes);

 private:
  struct Filter;

  bool is_equal_rate() const { return rate_in_hz_ == rate_out_hz_; }
  std::vector<float> emit(int64_t num_settled);
  bool is_consistent() const;

  int rate_in_hz_, rate_out_hz_;
  std::shared_ptr<const Filter> filter_;  // constant, shared by copies; none for equal rates
  std::vector<float> history_;            // input samples that a coming output still needs
  int64_t history_start_ = 0;             // input index of history_[0]; negative: silence before
  int64_t num_in_samples_ = 0, num_out_samples_ = 0;
  bool is_finished_ = false;
};

}  // namespace halfbyte
