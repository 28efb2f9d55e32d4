#include "listen/stream.h"

#include <algorithm>
#include <utility>

#include "error.h"
#include "listen/onset.h"
#include "listen/silence.h"

namespace halfbyte {
namespace {

constexpr std::size_t kOwnParts = 3;  // of a snapshot: features, resampler, model; the segment's follow

int first_pass_steps(const ModelSettings& settings, const StreamOptions& options) {
  const bool is_full_context = options.chunk_ms == StreamOptions::kFullContextMs;
  return settings.chunk_steps_of(is_full_context ? std::nullopt : options.chunk_ms);
}

}  // namespace

Stream::Stream(std::shared_ptr<AcousticModel> model, const StreamOptions& options)
    : model_(std::move(model)),
      settings_(model_->settings()),
      options_(options),
      chunk_steps_(first_pass_steps(*settings_, options)),
      fbank_(settings_->features),
      state_(model_->initial_state()),
      segment_(new_segment()) {
  const int model_rate_hz = settings_->features.sample_rate_hz;
  if (options.sample_rate_hz != model_rate_hz) resampler_.emplace(options.sample_rate_hz, model_rate_hz);
}

void Stream::take(const float* samples, std::size_t num_samples) {
  if (is_finished_) throw Error(ErrorKind::kUsage, "the stream is finished; start another");
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
  if (segment_.num_steps() > 0) events.push_back(end_segment(EndReason::kFinish));
  return events;
}

Segment Stream::new_segment() const { return Segment(settings_, options_.mode, is_full_context()); }

std::size_t Stream::window_frames() const {
  return static_cast<std::size_t>(settings_->subsampling * chunk_steps_ + settings_->overlap_frames);
}

void Stream::run_chunk(std::size_t num_frames, std::vector<Event>* events) {
  const std::size_t width = fbank_.num_mel_bins();
  const FloatRows window{fbank_.frames() + num_kept_frames_ * width, num_frames, width};
  if (skip_silence(window)) return;
  const std::string before = segment_.text();
  model_->encode(window, *state_, &encoded_);
  segment_.accept(window, &encoded_);
  keep(encoded_.num_steps * static_cast<std::size_t>(settings_->subsampling));
  if (segment_.text() != before) events->push_back(event(segment_.text(), false));
  const EndReason reason = end_reason();
  if (reason != EndReason::kNone) events->push_back(end_segment(reason));
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

// Leaves out a window of digital silence between segments: the next one begins after it.
bool Stream::skip_silence(const FloatRows& window) {
  if (segment_.num_steps() > 0 || !is_silence(window)) return false;
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

EndReason Stream::end_reason() const {
  const int64_t num_steps = segment_.num_steps();
  const int64_t step_ms = settings_->step_ms();
  if (num_steps * step_ms >= max_segment_ms()) return EndReason::kLength;
  const std::optional<int> silence_ms = options_.endpoint.trailing_silence_ms;
  const std::optional<int64_t> last = segment_.last_token_step();
  const bool is_quiet = silence_ms && last && (num_steps - 1 - *last) * step_ms >= *silence_ms;
  return is_quiet ? EndReason::kSilence : EndReason::kNone;
}

int64_t Stream::max_segment_ms() const {
  const int longest_ms = settings_->max_segment_ms;
  return std::min(longest_ms, options_.endpoint.max_segment_ms.value_or(longest_ms));
}

// Steps at the end of a segment that silence has ended which are the next one's: of a word that has
// begun there.
int64_t Stream::num_steps_given_up() const {
  const EndpointRule& rule = options_.endpoint;
  const int64_t step_ms = settings_->step_ms();
  const int64_t silence_ms = rule.trailing_silence_ms.value() - rule.pre_roll_ms();
  const int64_t num_own = *segment_.last_token_step() + 1 + (silence_ms + step_ms - 1) / step_ms;
  const int64_t subsampling = settings_->subsampling;
  const auto num_kept = static_cast<int64_t>(num_kept_frames_);
  const auto num_free = static_cast<std::size_t>(
      std::clamp<int64_t>((segment_.num_steps() - num_own) * subsampling, 0, num_kept));
  const std::size_t width = fbank_.num_mel_bins();
  const float* first = fbank_.frames() + (num_kept_frames_ - num_free) * width;
  const int pre_roll_frames = rule.pre_roll_ms() / settings_->features.frame_shift_ms;
  const std::size_t num_frames =
      num_onset_frames({first, num_free, width}, static_cast<std::size_t>(pre_roll_frames));
  return static_cast<int64_t>(num_frames) / subsampling;
}

Event Stream::end_segment(EndReason reason) {
  const int64_t given_up = reason == EndReason::kSilence ? num_steps_given_up() : 0;
  if (given_up > 0) segment_.truncate(segment_.num_steps() - given_up);
  if (is_full_context()) segment_.encode_whole(*model_);
  const std::vector<std::vector<int>> ranked = segment_.finalize(*model_);
  Event final = event(text_of(ranked.front(), settings_->tokens), true);
  final.words = words_of(segment_.timed(ranked.front()), settings_->tokens, settings_->step_ms(), start_ms());
  final.alternatives = other_texts(ranked, final.text);
  final.reason = reason;
  frames_done_ += segment_.num_steps() * settings_->subsampling;
  fbank_.pop(num_kept_frames_ - static_cast<std::size_t>(given_up * settings_->subsampling));
  num_kept_frames_ = 0;
  segment_ = new_segment();
  state_ = model_->initial_state();
  return final;
}

// Texts of the other hypotheses; tokens may differ where texts do not.
std::vector<std::string> Stream::other_texts(const std::vector<std::vector<int>>& ranked,
                                             const std::string& text) const {
  std::vector<std::string> texts{text};
  for (const std::vector<int>& tokens : ranked) {
    if (texts.size() == options_.num_best) break;
    std::string other = text_of(tokens, settings_->tokens);
    if (std::find(texts.begin(), texts.end(), other) == texts.end()) texts.push_back(std::move(other));
  }
  texts.erase(texts.begin());
  return texts;
}

int64_t Stream::start_ms() const { return frames_done_ * settings_->features.frame_shift_ms; }

Event Stream::event(const std::string& text, bool is_final) const {
  return {text, is_final, start_ms(), start_ms() + segment_.num_steps() * settings_->step_ms()};
}

StreamSnapshot Stream::save() const {
  StreamSnapshot snapshot{frames_done_, static_cast<int64_t>(num_kept_frames_), is_finished_, {}};
  snapshot.parts = {fbank_.save(), resampler_ ? resampler_->save() : "", model_->save_state(*state_)};
  for (std::string& part : segment_.save()) snapshot.parts.push_back(std::move(part));
  return snapshot;
}

void Stream::restore(const StreamSnapshot& saved) {
  if (saved.parts.size() < kOwnParts || saved.frames_done < 0 ||
      saved.parts[1].empty() != !resampler_.has_value())
    throw Error(ErrorKind::kUsage, "the saved state of a stream is damaged: it has other parts");
  Segment segment = new_segment();
  segment.restore({saved.parts.begin() + kOwnParts, saved.parts.end()});
  Fbank fbank = fbank_;
  fbank.restore(saved.parts[0]);
  const auto num_ready = static_cast<int64_t>(fbank.num_frames_ready());
  if (saved.num_kept_frames < 0 || saved.num_kept_frames > num_ready ||
      saved.num_kept_frames > segment.num_steps() * settings_->subsampling ||
      saved.num_kept_frames % settings_->subsampling != 0)
    throw Error(ErrorKind::kUsage, "the saved state of a stream is damaged: it keeps other frames");
  std::optional<Resampler> resampler = resampler_;
  if (resampler) resampler->restore(saved.parts[1]);
  state_ = model_->restore_state(saved.parts[2]);
  segment_ = std::move(segment);
  fbank_ = std::move(fbank);
  resampler_ = std::move(resampler);
  frames_done_ = saved.frames_done;
  num_kept_frames_ = static_cast<std::size_t>(saved.num_kept_frames);
  is_finished_ = saved.is_finished;
}

}  // namespace halfbyte
