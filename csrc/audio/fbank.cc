#include "audio/fbank.h"

#include <utility>

#include "audio/fft.h"
#include "audio/mel.h"
#include "audio/samples.h"
#include "error.h"
#include "fork.h"
#include "kernels/float_environment.h"
#include "kernels/kernels.h"
#include "specified_math.h"
#include "state_bytes.h"

namespace halfbyte {
namespace {

constexpr double kPoveyExponent = 0.85;  // Kaldi's "povey" window

// What stands around the mel filters.
struct Surroundings {
  double sample_scale, preemphasis, energy_floor;
  bool removes_mean;
};
// Samples are int16 values; pre-emphasis is the fbank default, the floor FLT_EPSILON.
constexpr Surroundings kKaldi{32768.0, 0.97, 1.1920928955078125e-07, true};
// Whisper's floor is 1e-10 and 8 decades below a clip's loudest bin; a stream knows no loudest bin.
constexpr Surroundings kWhisper{1.0, 0.0, 1e-8, false};

const Surroundings& surroundings_of(MelDefinition definition) {
  return definition == MelDefinition::kKaldi ? kKaldi : kWhisper;
}

constexpr int64_t kMostSamples = int64_t{1} << 40;
constexpr uint32_t kStateVersion = 0x31424648;  // "HFB1"

size_t samples_of_ms(int rate_hz, int ms) {
  return static_cast<size_t>(static_cast<int64_t>(rate_hz) * ms / 1000);
}

size_t power_of_two_from(size_t size) {
  size_t power = 4;
  while (power < size) power *= 2;
  return power;
}

void check(bool is_right, const std::string& message) {
  if (!is_right) throw Error(ErrorKind::kUsage, message);
}

double checked_high_hz(const FbankOptions& o) {
  check(o.sample_rate_hz >= 1000 && o.sample_rate_hz <= 192000,
        "fbank: sample_rate_hz is " + std::to_string(o.sample_rate_hz) + "; expected 1000 to 192000");
  check(o.num_mel_bins >= 1 && o.num_mel_bins <= 512,
        "fbank: num_mel_bins is " + std::to_string(o.num_mel_bins) + "; expected 1 to 512");
  check(o.frame_shift_ms >= 1 && o.frame_length_ms >= o.frame_shift_ms && o.frame_length_ms <= 1000,
        "fbank: frame_length_ms " + std::to_string(o.frame_length_ms) + " and frame_shift_ms " +
            std::to_string(o.frame_shift_ms) + "; expected 1 <= shift <= length <= 1000");
  double nyquist = 0.5 * o.sample_rate_hz;
  double high = o.high_hz > 0 ? o.high_hz : nyquist + o.high_hz;
  check(o.low_hz >= 0 && o.low_hz < high && high <= nyquist,
        "fbank: mel range " + std::to_string(o.low_hz) + " to " + std::to_string(high) +
            " Hz; expected 0 <= low < high <= half the sample rate");
  return high;
}

}  // namespace

MelDefinition mel_definition_named(const std::string& name) {
  check(name == "kaldi" || name == "whisper",
        "fbank: definition is '" + name + "'; expected kaldi or whisper");
  return name == "kaldi" ? MelDefinition::kKaldi : MelDefinition::kWhisper;
}

struct Fbank::Tables {
  explicit Tables(const FbankOptions& o)
      : length(samples_of_ms(o.sample_rate_hz, o.frame_length_ms)),
        shift(samples_of_ms(o.sample_rate_hz, o.frame_shift_ms)),
        fft_size(power_of_two_from(length)),
        transform(fft_size),
        surroundings(surroundings_of(o.definition)),
        filters(o.definition, static_cast<size_t>(o.num_mel_bins),
                {fft_size, static_cast<double>(o.sample_rate_hz), length}, o.low_hz, checked_high_hz(o)) {
    const bool is_kaldi = o.definition == MelDefinition::kKaldi;
    const auto period = static_cast<int64_t>(is_kaldi ? length - 1 : length);
    for (size_t i = 0; i < length; ++i) {
      const double hann = 0.5 - 0.5 * cos_of_turn(static_cast<int64_t>(i), period);
      window.push_back(is_kaldi ? specified_exp(kPoveyExponent * specified_log(hann)) : hann);
    }
  }

  size_t length, shift, fft_size;  // samples
  std::vector<double> window;      // (length,)
  TransformTables transform;
  Surroundings surroundings;
  MelFilters filters;

  LogMel view() const {
    LogMel mel;
    mel.length = static_cast<int64_t>(length);
    mel.shift = static_cast<int64_t>(shift);
    mel.fft_size = static_cast<int64_t>(fft_size);
    mel.num_bins = static_cast<int64_t>(filters.num_bins());
    mel.sample_scale = surroundings.sample_scale;
    mel.preemphasis = surroundings.preemphasis;
    mel.energy_floor = surroundings.energy_floor;
    mel.removes_mean = surroundings.removes_mean;
    mel.window = window.data();
    mel.reversed = transform.reversed.data();
    mel.cosines = transform.cosines.data();
    mel.sines = transform.sines.data();
    mel.first_bins = filters.first_bins.data();
    mel.filter_starts = filters.filter_starts.data();
    mel.weights = filters.weights.data();
    return mel;
  }
};

Fbank::Fbank(const FbankOptions& options) {
  FloatEnvironment environment;
  checked_high_hz(options);
  tables_ = tables_of(options);
}

// Streams of one model share their tables, and the last ones stay for the next stream: making them costs as
// much as seconds of audio.
std::shared_ptr<const Fbank::Tables> Fbank::tables_of(const FbankOptions& options) {
  static std::shared_ptr<const Tables> last;
  static FbankOptions last_options;
  const std::lock_guard<std::mutex> lock(fork_mutex());
  if (!last || !(options == last_options)) {
    last = std::make_shared<const Tables>(options);
    last_options = options;
  }
  return last;
}

size_t Fbank::num_mel_bins() const { return tables_->filters.num_bins(); }
size_t Fbank::frame_length_samples() const { return tables_->length; }
size_t Fbank::frame_shift_samples() const { return tables_->shift; }

void Fbank::accept(const float* samples, size_t num_samples) {
  check(!is_finished_, "fbank: finish() has been called; call reset() to begin a new stream");
  FloatEnvironment environment;
  check_finite(samples, num_samples, num_samples_accepted_);
  num_samples_accepted_ += static_cast<int64_t>(num_samples);
  pending_.insert(pending_.end(), samples, samples + num_samples);
  if (pending_.size() < tables_->length) return;
  const size_t num_frames = (pending_.size() - tables_->length) / tables_->shift + 1;
  compute_frames(num_frames);
  pending_.erase(pending_.begin(), pending_.begin() + static_cast<ptrdiff_t>(num_frames * tables_->shift));
}

void Fbank::compute_frames(size_t num_frames) {
  thread_local std::vector<double> scratch;
  scratch.resize(kLogMelLanes * (tables_->fft_size * 3 / 2 + 1));
  const size_t misaligned = reinterpret_cast<uintptr_t>(scratch.data()) % 64 / sizeof(double);
  double* aligned = scratch.data() + (kLogMelLanes - misaligned) % kLogMelLanes;
  const size_t start = frames_.size();
  frames_.resize(start + num_frames * num_mel_bins());
  kernels().log_mel(tables_->view(), pending_.data(), static_cast<int64_t>(num_frames), aligned,
                    frames_.data() + start);
}

void Fbank::prepend(const float* frames, size_t num_frames) {
  frames_.insert(frames_.begin() + static_cast<ptrdiff_t>(num_popped_ * num_mel_bins()), frames,
                 frames + num_frames * num_mel_bins());
}

void Fbank::pop(size_t num_frames) {
  check(num_frames <= num_frames_ready(), "fbank: pop of " + std::to_string(num_frames) + " frames; " +
                                              std::to_string(num_frames_ready()) + " are ready");
  num_popped_ += num_frames;
  // Half or more of the buffer is dead: moving the rest costs no more than it cost to fill.
  if (2 * num_popped_ * num_mel_bins() >= frames_.size()) {
    frames_.erase(frames_.begin(), frames_.begin() + static_cast<ptrdiff_t>(num_popped_ * num_mel_bins()));
    num_popped_ = 0;
  }
}

void Fbank::reset() {
  pending_.clear();
  frames_.clear();
  num_popped_ = 0;
  num_samples_accepted_ = 0;
  is_finished_ = false;
}

// Samples of so many accepted ones that a coming frame still needs.
size_t Fbank::num_pending(int64_t num_accepted) const {
  const auto accepted = static_cast<size_t>(num_accepted);
  if (accepted < tables_->length) return accepted;
  return accepted - ((accepted - tables_->length) / tables_->shift + 1) * tables_->shift;
}

std::string Fbank::save() const {
  StateWriter writer(kStateVersion);
  writer.put(static_cast<uint64_t>(num_mel_bins()));
  writer.put(static_cast<uint64_t>(tables_->length));
  writer.put(num_samples_accepted_);
  writer.put(static_cast<uint8_t>(is_finished_));
  writer.put_all(pending_);
  writer.put_all(std::vector<float>(frames(), frames_.data() + frames_.size()));
  return writer.bytes();
}

void Fbank::restore(const std::string& bytes) {
  StateReader reader(kStateVersion, bytes);
  uint64_t bins = reader.get<uint64_t>(), length = reader.get<uint64_t>();
  int64_t accepted = reader.get<int64_t>();
  bool is_finished = reader.get<uint8_t>() != 0;
  std::vector<float> pending = reader.get_all<float>(), frames = reader.get_all<float>();
  reader.finish();
  if (bins != num_mel_bins() || length != tables_->length || frames.size() % bins != 0 || accepted < 0 ||
      accepted > kMostSamples || pending.size() != num_pending(accepted) || !are_finite(pending) ||
      !are_finite(frames)) {
    throw Error(ErrorKind::kInput, "fbank state of " + std::to_string(bins) + " bins and " +
                                       std::to_string(length) + " samples a frame; expected " +
                                       std::to_string(num_mel_bins()) + " and " +
                                       std::to_string(tables_->length));
  }
  pending_ = std::move(pending);
  frames_ = std::move(frames);
  num_popped_ = 0;
  num_samples_accepted_ = accepted;
  is_finished_ = is_finished;
}

}  // namespace halfbyte
