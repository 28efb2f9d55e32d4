#include "listen/stream.h"

#include <algorithm>
#include <utility>

#include "audio/samples.h"
#include "error.h"
#include "listen/onset.h"
#include "listen/pipeline.h"

namespace halfbyte {
namespace {

constexpr std::size_t kOwnParts = 2;  // of a snapshot: features, resampler; the segment's follow

}  // namespace

Stream::Stream(std::shared_ptr<AcousticModel> model, const StreamOptions& options)
    : model_(std::move(model)),
      settings_(model_->settings()),
      options_(settings_->checked(options)),
      chunk_steps_(settings_->chunk_steps_of(options_)),
      fbank_(settings_->features),
      segment_(first_segment()) {
  const int model_rate_hz = settings_->features.sample_rate_hz;
  if (options_.sample_rate_hz != model_rate_hz)
    resampler_.emplace(static_cast<int>(options_.sample_rate_hz), model_rate_hz);
}

std::unique_ptr<Segment> Stream::first_segment() const {
  return settings_->pipeline->start(*model_, *settings_, options_);
}

void Stream::take(const float* samples, std::size_t num_samples) {
  if (is_finished_) throw Error(ErrorKind::kUsage, "the stream is finished; start another");
  check_full_scale(samples, num_samples);
  if (resampler_) {
    const std::vector<float> settled = resampler_->accept(samples, num_samples);
    fbank_.accept(settled.data(), settled.size());
  } else {
    fbank_.accept(samples, num_samples);
  }
}

std::vector<Event> Stream::run() {
  std::vector<Event> events;
  while (num_frames_ready() >= window_frames()) run_chunk(window_frames(), &events);
  return events;
}

std::vector<Event> Stream::finish() {
  if (is_finished_) return {};
  if (resampler_) {
    const std::vector<float> settled = resampler_->finish();
    fbank_.accept(settled.data(), settled.size());
  }
  fbank_.finish();
  std::vector<Event> events = run();
  is_finished_ = true;
  const auto least_frames =  // give one step
      static_cast<std::size_t>(settings_->subsampling + settings_->overlap_frames);
  while (num_frames_ready() >= least_frames)  // again where a segment ends before the last frame
    run_chunk(std::min(num_frames_ready(), window_frames()), &events);
  if (segment_->num_steps() > 0) end_segment({EndReason::kFinish, segment_->num_steps()}, &events);
  return events;
}

std::size_t Stream::window_frames() const {
  return static_cast<std::size_t>(settings_->subsampling * chunk_steps_ + settings_->overlap_frames);
}

void Stream::run_chunk(std::size_t num_frames, std::vector<Event>* events) {
  const std::size_t width = fbank_.num_mel_bins();
  const FloatRows window{fbank_.frames() + num_kept_frames_ * width, num_frames, width};
  if (skip(window)) return;
  const int64_t before = segment_->num_steps();
  const Ending ending = segment_->accept(window, start_ms(), events);
  keep(static_cast<std::size_t>((segment_->num_steps() - before) * settings_->subsampling));
  if (ending.reason != EndReason::kNone) end_segment(ending, events);
}

// The next frames are encoded; those in which the next segment can begin are kept.
void Stream::keep(std::size_t num_frames) {
  const int pre_roll_steps = options_.endpoint.pre_roll_ms() / settings_->step_ms();
  const auto most = static_cast<std::size_t>((chunk_steps_ + pre_roll_steps) * settings_->subsampling);
  num_kept_frames_ += num_frames;
  if (num_kept_frames_ > most) {
    fbank_.pop(num_kept_frames_ - most);
    num_kept_frames_ = most;
  }
}

// Leaves out a window between segments: the next one begins after it.
bool Stream::skip(const FloatRows& window) {
  if (segment_->num_steps() > 0 || !segment_->may_skip(window)) return false;
  const auto num_frames = static_cast<int>(window.num_rows);
  const int num_steps = (num_frames - settings_->overlap_frames) / settings_->subsampling;
  fbank_.pop(static_cast<std::size_t>(num_steps * settings_->subsampling));
  frames_done_ += num_steps * settings_->subsampling;
  return true;
}

int64_t Stream::samples_due() const {
  const auto length = static_cast<int64_t>(fbank_.frame_length_samples());
  const auto shift = static_cast<int64_t>(fbank_.frame_shift_samples());
  const int64_t accepted = fbank_.num_samples_accepted();
  const int64_t num_computed = accepted < length ? 0 : (accepted - length) / shift + 1;
  const auto ready = static_cast<int64_t>(num_frames_ready());
  const int64_t last_frame = num_computed - ready + static_cast<int64_t>(window_frames()) - 1;
  const int64_t num_samples = last_frame * shift + length;
  return resampler_ ? resampler_->num_in_samples_for(num_samples - 1) : num_samples;
}

// Steps at the end of a segment which are the next one's: of a sound that has set in after its own steps.
int64_t Stream::num_steps_given_up(int64_t num_own_steps) const {
  const int64_t subsampling = settings_->subsampling;
  const auto num_kept = static_cast<int64_t>(num_kept_frames_);
  const auto num_free = static_cast<std::size_t>(
      std::clamp<int64_t>((segment_->num_steps() - num_own_steps) * subsampling, 0, num_kept));
  const std::size_t width = fbank_.num_mel_bins();
  const float* first = fbank_.frames() + (num_kept_frames_ - num_free) * width;
  const int pre_roll_frames = options_.endpoint.pre_roll_ms() / settings_->features.frame_shift_ms;
  const std::size_t num_frames =
      num_onset_frames({first, num_free, width}, static_cast<std::size_t>(pre_roll_frames));
  return static_cast<int64_t>(num_frames) / subsampling;
}

void Stream::end_segment(const Ending& ending, std::vector<Event>* events) {
  const int64_t given_up = num_steps_given_up(ending.num_own_steps);
  const int64_t num_steps = segment_->num_steps() - given_up;
  std::unique_ptr<Segment> next = segment_->end(ending.reason, num_steps, start_ms(), events);
  frames_done_ += num_steps * settings_->subsampling;
  fbank_.pop(num_kept_frames_ - static_cast<std::size_t>(given_up * settings_->subsampling));
  num_kept_frames_ = 0;
  segment_ = std::move(next);
}

StreamSnapshot Stream::save() const {
  StreamSnapshot snapshot{frames_done_, static_cast<int64_t>(num_kept_frames_), is_finished_, {}};
  snapshot.parts = {fbank_.save(), resampler_ ? resampler_->save() : ""};
  for (std::string& part : segment_->save()) snapshot.parts.push_back(std::move(part));
  return snapshot;
}

void Stream::restore(const StreamSnapshot& saved) {
  if (saved.parts.size() < kOwnParts || saved.frames_done < 0 ||
      saved.parts[1].empty() != !resampler_.has_value())
    throw Error(ErrorKind::kUsage, "the saved state of a stream is damaged: it has other parts");
  std::unique_ptr<Segment> segment = first_segment();
  segment->restore({saved.parts.begin() + kOwnParts, saved.parts.end()});
  Fbank fbank = fbank_;
  fbank.restore(saved.parts[0]);
  const auto num_ready = static_cast<int64_t>(fbank.num_frames_ready());
  if (saved.num_kept_frames < 0 || saved.num_kept_frames > num_ready ||
      saved.num_kept_frames > segment->num_steps() * settings_->subsampling ||
      saved.num_kept_frames % settings_->subsampling != 0)
    throw Error(ErrorKind::kUsage, "the saved state of a stream is damaged: it keeps other frames");
  std::optional<Resampler> resampler = resampler_;
  if (resampler) resampler->restore(saved.parts[1]);
  segment_ = std::move(segment);
  fbank_ = std::move(fbank);
  resampler_ = std::move(resampler);
  frames_done_ = saved.frames_done;
  num_kept_frames_ = static_cast<std::size_t>(saved.num_kept_frames);
  is_finished_ = saved.is_finished;
}

}  // namespace halfbyte
