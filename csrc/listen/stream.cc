#include "listen/stream.h"

#include <algorithm>
#include <utility>

#include "audio/samples.h"
#include "error.h"
#include "listen/onset.h"
#include "listen/pipeline.h"

namespace halfbyte {
namespace {

constexpr int64_t kMostFrames = int64_t{1} << 40;
constexpr std::size_t kOwnParts = 2;  // of a snapshot: features, resampler; the segment's follow

}  // namespace

Stream::Stream(std::shared_ptr<AcousticModel> model, const StreamOptions& options)
    : model_(std::move(model)),
      settings_(model_->settings()),
      options_(settings_->checked(options)),
      chunk_steps_(settings_->chunk_steps_of(options_)),
      fbank_(settings_->features),
      room_(settings_->features),
      segment_(first_segment()) {
  const int model_rate_hz = settings_->features.sample_rate_hz;
  if (options_.sample_rate_hz != model_rate_hz)
    resampler_.emplace(static_cast<int>(options_.sample_rate_hz), model_rate_hz);
  if (segment_->wants_room()) give_room();
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
  run_ready(&events);
  keep_within(heard_ms(), settings_->step_ms(), &events);
  return events;
}

void Stream::run_ready(std::vector<Event>* events) {
  for (cut_silence(); num_frames_ready() >= window_frames(); cut_silence())
    run_chunk(window_frames(), events);
}

// Audio so far, without room.
int64_t Stream::heard_ms() const {
  return fbank_.num_samples_accepted() * 1000 / settings_->features.sample_rate_hz;
}

std::vector<Event> Stream::finish() {
  if (is_finished_) return {};
  if (resampler_) {
    const std::vector<float> settled = resampler_->finish();
    fbank_.accept(settled.data(), settled.size());
  }
  std::vector<Event> events = run();
  const int64_t end_ms = heard_ms();
  add_last_room();
  fbank_.finish();
  run_ready(&events);
  is_finished_ = true;
  while (num_frames_ready() >= least_frames())  // again where a segment ends before the last frame
    run_chunk(std::min(num_frames_ready(), window_frames()), &events);
  if (segment_->num_steps() > 0) end_segment({EndReason::kFinish, segment_->num_steps()}, &events);
  keep_within(end_ms, settings_->step_ms(), &events);
  return events;
}

// Frames that are ready for the next chunk; room alone is no reason for one.
std::size_t Stream::num_frames_ready() const {
  const std::size_t num_ready = fbank_.num_frames_ready() - num_kept_frames_;
  return has_room_ && num_ready == room_.num_frames() ? 0 : num_ready;
}

// Frames that give one step.
std::size_t Stream::least_frames() const {
  return static_cast<std::size_t>(settings_->subsampling + settings_->overlap_frames);
}

// Audio is missing before the frames that are ready: room takes its place.
void Stream::give_room() {
  fbank_.prepend(room_.frames().data(), room_.num_frames());
  frames_done_ -= static_cast<int64_t>(room_.num_frames());
  has_room_ = true;
}

// Cuts digital silence off before a segment begins.
void Stream::cut_silence() {
  if (segment_->num_steps() > 0 || !segment_->wants_room()) return;
  const std::size_t width = fbank_.num_mel_bins(), num_before = has_room_ ? room_.num_frames() : 0;
  const std::size_t num_silent = room_.num_silent_frames(
      {fbank_.frames() + num_before * width, fbank_.num_frames_ready() - num_before, width});
  if (num_silent == 0) return;
  fbank_.pop(num_before + num_silent);
  frames_done_ += static_cast<int64_t>(num_before + num_silent);
  give_room();
}

// After the last sample, where a segment is under way or sound for one is there.
void Stream::add_last_room() {
  const std::size_t least = has_room_ ? 1 : least_frames();
  if (segment_->wants_room() && (segment_->num_steps() > 0 || num_frames_ready() >= least))
    fbank_.accept(room_.samples().data(), room_.samples().size());
}

std::size_t Stream::window_frames() const {
  return static_cast<std::size_t>(settings_->subsampling * chunk_steps_ + settings_->overlap_frames);
}

void Stream::run_chunk(std::size_t num_frames, std::vector<Event>* events) {
  const std::size_t width = fbank_.num_mel_bins();
  const FloatRows window{fbank_.frames() + num_kept_frames_ * width, num_frames, width};
  const int64_t before = segment_->num_steps();
  const Ending ending = segment_->accept(window, start_ms(), events);
  has_room_ = false;
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

int64_t Stream::samples_due() const {
  const auto length = static_cast<int64_t>(fbank_.frame_length_samples());
  const auto shift = static_cast<int64_t>(fbank_.frame_shift_samples());
  const int64_t accepted = fbank_.num_samples_accepted();
  const int64_t num_computed = accepted < length ? 0 : (accepted - length) / shift + 1;
  const auto num_ready = static_cast<int64_t>(fbank_.num_frames_ready() - num_kept_frames_);
  const int64_t num_missing = std::max<int64_t>(1, static_cast<int64_t>(window_frames()) - num_ready);
  const int64_t last_frame = num_computed + num_missing - 1;
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
  segment_ = next_ ? std::move(next_) : std::move(next);
}

void Stream::set_grammar(const std::optional<GrammarSource>& grammar) {
  StreamOptions options = options_;
  options.grammar = grammar;
  options = settings_->checked(options);
  next_ = settings_->pipeline->start(*model_, *settings_, options);
  options_ = options;
  if (segment_->num_steps() == 0) segment_ = std::move(next_);
}

StreamSnapshot Stream::save() const {
  StreamSnapshot snapshot{frames_done_, static_cast<int64_t>(num_kept_frames_), is_finished_, {}};
  snapshot.parts = {fbank_.save(), resampler_ ? resampler_->save() : ""};
  for (std::string& part : segment_->save()) snapshot.parts.push_back(std::move(part));
  return snapshot;
}

void Stream::restore(const StreamSnapshot& saved) {
  const auto num_room_frames = static_cast<int64_t>(room_.num_frames());
  if (saved.parts.size() < kOwnParts || saved.frames_done < -num_room_frames ||
      saved.frames_done > kMostFrames || saved.parts[1].empty() != !resampler_.has_value())
    throw Error(ErrorKind::kUsage, "the saved state of a stream is damaged: it has other parts");
  std::unique_ptr<Segment> segment = first_segment();
  segment->restore({saved.parts.begin() + kOwnParts, saved.parts.end()});
  Fbank fbank = fbank_;
  fbank.restore(saved.parts[0]);
  if (fbank.is_finished() != saved.is_finished)
    throw Error(ErrorKind::kUsage, "the saved state of a stream is damaged: only a part of it is finished");
  const auto num_ready = static_cast<int64_t>(fbank.num_frames_ready());
  if (saved.num_kept_frames < 0 || saved.num_kept_frames > num_ready ||
      saved.num_kept_frames > segment->num_steps() * settings_->subsampling ||
      saved.num_kept_frames % settings_->subsampling != 0)
    throw Error(ErrorKind::kUsage, "the saved state of a stream is damaged: it keeps other frames");
  std::optional<Resampler> resampler = resampler_;
  if (resampler) resampler->restore(saved.parts[1]);
  has_room_ = segment->num_steps() == 0 && segment->wants_room() && room_.precedes(fbank);
  segment_ = std::move(segment);
  next_.reset();
  fbank_ = std::move(fbank);
  resampler_ = std::move(resampler);
  frames_done_ = saved.frames_done;
  num_kept_frames_ = static_cast<std::size_t>(saved.num_kept_frames);
  is_finished_ = saved.is_finished;
}

}  // namespace halfbyte
