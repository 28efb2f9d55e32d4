#include "audio/resampler.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "audio/samples.h"
#include "error.h"
#include "kernels/float_environment.h"
#include "specified_math.h"
#include "state_bytes.h"

namespace halfbyte {
namespace {

constexpr int kZeroCrossings = 64;    // of the sinc, on each side
constexpr int64_t kCutoff64ths = 61;  // half-power frequency, in 64ths of half the lower rate
// Kaiser's rule for 90 dB: beta = 0.1102 (90 - 8.7). The band between pass and stop is then
// (90 - 8) / (2.285 * 2 * 64) / pi = 0.089 of half the lower rate: 0.909 to 0.998 around 61/64.
constexpr double kKaiserBeta = 8.959;
// Ratios with more phases than this share 512, interpolated linearly: an error of -106 dB.
constexpr int64_t kMaxExactPhases = 640;
constexpr int64_t kSharedPhases = 512;
constexpr size_t kLanes = 16;
constexpr uint32_t kStateTag = 0x31524248;  // "HBR1"
constexpr int kMinRateHz = 8000, kMaxRateHz = 192000;

// Modified Bessel function of order 0, by its power series; 40 terms reach 1e-17 for x <= 9.
double bessel_i0(double x) {
  double term = 1.0, sum = 1.0;
  for (int k = 1; k <= 40; ++k) {
    double half = x / (2 * k);
    term *= half * half;
    sum += term;
  }
  return sum;
}

// Element i goes to lane i mod 16; lanes are added by halves. num is a multiple of 16.
float dot(const float* a, const float* b, size_t num) {
  float lanes[kLanes] = {};
  for (size_t i = 0; i < num; i += kLanes) {
    for (size_t l = 0; l < kLanes; ++l) lanes[l] += a[i + l] * b[i + l];
  }
  for (size_t half = kLanes / 2; half > 0; half /= 2) {
    for (size_t l = 0; l < half; ++l) lanes[l] += lanes[l + half];
  }
  return lanes[0];
}

}  // namespace

// Row p of the table holds the filter for outputs p / num_phases of an input sample after an input
// sample, so that an output is the dot product of a row with 2 * half_width input samples.
struct Resampler::Filter {
  Filter(int rate_in_hz, int rate_out_hz) {
    int64_t divisor = std::gcd(rate_in_hz, rate_out_hz);
    up = rate_out_hz / divisor;
    down = rate_in_hz / divisor;
    low_hz = std::min(rate_in_hz, rate_out_hz);
    in_hz = rate_in_hz;
    num_phases = up <= kMaxExactPhases ? up : kSharedPhases;
    int64_t reach = (kZeroCrossings * in_hz + low_hz - 1) / low_hz;
    half_width = (reach + 7) / 8 * 8;  // so that dot() sees whole lanes
    table.resize(static_cast<size_t>((num_phases + 1) * num_taps()));
    for (int64_t p = 0; p <= num_phases; ++p) fill_row(p);
  }

  int64_t num_taps() const { return 2 * half_width; }

  // The prototype at `steps` / num_phases input samples from its centre.
  double tap(int64_t steps) const {
    double window_position =
        static_cast<double>(steps * low_hz) / static_cast<double>(num_phases * in_hz * kZeroCrossings);
    double inside = 1.0 - window_position * window_position;
    if (inside <= 0.0) return 0.0;
    double window = bessel_i0(kKaiserBeta * std::sqrt(inside));
    if (steps == 0) return window;
    int64_t numerator = kCutoff64ths * steps * low_hz, denominator = 64 * num_phases * in_hz;
    double x = static_cast<double>(numerator) / static_cast<double>(denominator);
    return window * sin_of_turn(numerator, 2 * denominator) / (3.14159265358979323846 * x);
  }

  void fill_row(int64_t phase) {
    std::vector<double> taps;
    double sum = 0.0;
    for (int64_t q = 0; q < num_taps(); ++q) {
      taps.push_back(tap((half_width - 1 - q) * num_phases + phase));
      sum += taps.back();
    }
    float* row = table.data() + phase * num_taps();
    for (double value : taps) *row++ = static_cast<float>(value / sum);  // gain 1 at 0 Hz
  }

  // The output `remainder` / up of an input sample after the middle of `samples`' taps.
  float apply(const float* samples, int64_t remainder) const {
    size_t taps = static_cast<size_t>(num_taps());
    int64_t scaled = remainder * num_phases, phase = scaled / up;
    const float* row = table.data() + phase * num_taps();
    float value = dot(samples, row, taps);
    int64_t between = scaled - phase * up;
    if (between == 0) return value;
    float next = dot(samples, row + taps, taps);
    return value + (next - value) * (static_cast<float>(between) / static_cast<float>(up));
  }

  int64_t up, down;  // rate_out : rate_in in lowest terms
  int64_t low_hz, in_hz;
  int64_t num_phases;
  int64_t half_width;        // input samples, a multiple of 8
  std::vector<float> table;  // (num_phases + 1, 2 * half_width)
};

Resampler::Resampler(int rate_in_hz, int rate_out_hz) : rate_in_hz_(rate_in_hz), rate_out_hz_(rate_out_hz) {
  FloatEnvironment environment;
  check_rate(rate_in_hz);
  check_rate(rate_out_hz);
  if (!is_equal_rate()) filter_ = std::make_shared<const Filter>(rate_in_hz, rate_out_hz);
  reset();
}

void Resampler::check_rate(int64_t rate_hz) {
  if (rate_hz >= kMinRateHz && rate_hz <= kMaxRateHz) return;
  throw Error(ErrorKind::kAudio,
              "a sample rate of " + std::to_string(rate_hz) + " Hz; 8000 to 192000 Hz can be resampled");
}

void Resampler::reset() {
  history_.clear();
  history_start_ = num_in_samples_ = num_out_samples_ = 0;
  is_finished_ = false;
  if (is_equal_rate()) return;
  history_start_ = 1 - filter_->half_width;
  history_.assign(static_cast<size_t>(-history_start_), 0.0f);
}

std::vector<float> Resampler::accept(const float* samples, size_t num_samples) {
  if (is_finished_) {
    throw Error(ErrorKind::kUsage, "resampler: finish() has been called; call reset() to begin a new stream");
  }
  check_finite(samples, num_samples, num_in_samples_);
  num_in_samples_ += static_cast<int64_t>(num_samples);
  if (is_equal_rate()) return std::vector<float>(samples, samples + num_samples);
  history_.insert(history_.end(), samples, samples + num_samples);
  // Outputs whose last tap has arrived: floor(n * down / up) + half_width < num_in_samples_.
  int64_t num_covered = std::max<int64_t>(0, num_in_samples_ - filter_->half_width);
  return emit((num_covered * filter_->up + filter_->down - 1) / filter_->down);
}

std::vector<float> Resampler::finish() {
  if (is_finished_ || is_equal_rate()) {
    is_finished_ = true;
    return {};
  }
  is_finished_ = true;
  history_.insert(history_.end(), static_cast<size_t>(filter_->half_width), 0.0f);
  return emit((num_in_samples_ * filter_->up + filter_->down - 1) / filter_->down);
}

int64_t Resampler::num_in_samples_for(int64_t index) const {
  if (is_equal_rate()) return index + 1;
  return index * filter_->down / filter_->up + filter_->half_width + 1;
}

// Outputs up to number `num_settled`; then drops the input that no later output reaches.
std::vector<float> Resampler::emit(int64_t num_settled) {
  FloatEnvironment environment;
  const Filter& f = *filter_;
  std::vector<float> out;
  for (; num_out_samples_ < num_settled; ++num_out_samples_) {
    int64_t position = num_out_samples_ * f.down;
    int64_t first = position / f.up - f.half_width + 1;
    out.push_back(f.apply(history_.data() + (first - history_start_), position % f.up));
  }
  int64_t next_first = num_out_samples_ * f.down / f.up - f.half_width + 1;
  int64_t num_dead = std::min(next_first - history_start_, static_cast<int64_t>(history_.size()));
  history_.erase(history_.begin(), history_.begin() + num_dead);
  history_start_ += num_dead;
  return out;
}

std::string Resampler::save() const {
  StateWriter writer(kStateTag);
  writer.put(static_cast<int64_t>(rate_in_hz_));
  writer.put(static_cast<int64_t>(rate_out_hz_));
  writer.put(history_start_);
  writer.put(num_in_samples_);
  writer.put(num_out_samples_);
  writer.put(static_cast<uint8_t>(is_finished_));
  writer.put_all(history_);
  return writer.bytes();
}

void Resampler::restore(const std::string& bytes) {
  StateReader reader(kStateTag, bytes);
  int64_t in_hz = reader.get<int64_t>(), out_hz = reader.get<int64_t>();
  int64_t start = reader.get<int64_t>(), num_in = reader.get<int64_t>();
  int64_t num_out = reader.get<int64_t>();
  bool is_finished = reader.get<uint8_t>() != 0;
  std::vector<float> history = reader.get_all<float>();
  reader.finish();
  Resampler restored(*this);
  restored.history_start_ = start;
  restored.num_in_samples_ = num_in;
  restored.num_out_samples_ = num_out;
  restored.is_finished_ = is_finished;
  restored.history_ = std::move(history);
  if (in_hz != rate_in_hz_ || out_hz != rate_out_hz_ || !restored.is_consistent()) {
    throw Error(ErrorKind::kInput, "resampler state for " + std::to_string(in_hz) + " to " +
                                       std::to_string(out_hz) + " Hz; expected " +
                                       std::to_string(rate_in_hz_) + " to " + std::to_string(rate_out_hz_));
  }
  *this = std::move(restored);
}

// Whether the counters could come from a stream: the next output's taps lie in what is held.
bool Resampler::is_consistent() const {
  constexpr int64_t kMost = int64_t{1} << 40;
  if (num_in_samples_ < 0 || num_in_samples_ > kMost || num_out_samples_ < 0) return false;
  if (!are_finite(history_)) return false;
  if (is_equal_rate()) return history_.empty();
  if (history_start_ < 1 - filter_->half_width || history_start_ > kMost) return false;
  int64_t held = static_cast<int64_t>(history_.size());
  if (num_out_samples_ > num_in_samples_ * filter_->up / filter_->down + 1) return false;
  int64_t first = num_out_samples_ * filter_->down / filter_->up - filter_->half_width + 1;
  int64_t tail = is_finished_ ? filter_->half_width : 0;
  return history_start_ <= first && first - history_start_ <= held &&
         history_start_ + held == num_in_samples_ + tail;
}

}  // namespace halfbyte
