// A stream: samples in, events out, segment by segment.
//
//   auto model = std::make_shared<EngineModel>(Model::open("small.hb"));
//   Stream stream(model, {});
//   for (const Event& event : stream.accept(samples, num_samples)) ...
//   for (const Event& event : stream.finish()) ...
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "audio/fbank.h"
#include "audio/resampler.h"
#include "listen/acoustic_model.h"
#include "listen/events.h"
#include "listen/room.h"
#include "listen/segment.h"

namespace halfbyte {

// The state of a stream, taken apart.
struct StreamSnapshot {
  int64_t frames_done;
  int64_t num_kept_frames;
  bool is_finished;
  std::vector<std::string> parts;
};

// Chunks of encoder steps run as soon as their frames are there, whatever the sizes in which samples
// arrive: the result does not depend on them. What a chunk says, and when a segment ends, is for the pipeline
// of the model's family to say. At full context the chunks serve for partial results and endpoints, and the
// final result comes from the segment as a whole. A segment of speech begins with the first frame that is no
// digital silence, after room (room.h) where audio is missing before it; more room follows the last sample.
class Stream {
 public:
  // Throws kUsage for options that make no sense or that the model does not offer, kAudio for a sample rate
  // that cannot be converted.
  Stream(std::shared_ptr<AcousticModel> model, const StreamOptions& options);

  // Takes in (num_samples,) samples in [-1, 1) and returns what they change. Throws kUsage after finish(),
  // kAudio for NaN, infinity and samples of int16 size, of which call nothing is then taken in.
  std::vector<Event> accept(const float* samples, std::size_t num_samples) {
    take(samples, num_samples);
    return run();
  }
  // The two halves of accept(): samples to features, then the chunks that are complete.
  void take(const float* samples, std::size_t num_samples);
  std::vector<Event> run();
  // No more samples follow; returns the last events, the final one included.
  std::vector<Event> finish();
  // What may be said from the next segment on, or in this one where none of it has been heard. Throws kUsage
  // as the constructor; what may be said is then unchanged.
  void set_grammar(const std::optional<GrammarSource>& grammar);

  // Samples, counted from the first of the stream, with which its next chunk is complete.
  int64_t samples_due() const;

  const StreamOptions& options() const { return options_; }
  int chunk_steps() const { return chunk_steps_; }

  StreamSnapshot save() const;
  // Goes on where save() was called on a stream of equal model and options. Throws kUsage or kInput for
  // what is no such state; this stream is then unchanged.
  void restore(const StreamSnapshot& saved);

 private:
  std::unique_ptr<Segment> first_segment() const;
  std::size_t num_frames_ready() const;
  void keep(std::size_t num_frames);
  std::size_t window_frames() const;
  void run_ready(std::vector<Event>* events);
  void give_room();
  void cut_silence();
  void add_last_room();
  std::size_t least_frames() const;
  void run_chunk(std::size_t num_frames, std::vector<Event>* events);
  int64_t num_steps_given_up(int64_t num_own_steps) const;
  void end_segment(const Ending& ending, std::vector<Event>* events);
  int64_t start_ms() const { return frames_done_ * settings_->features.frame_shift_ms; }
  int64_t heard_ms() const;

  std::shared_ptr<AcousticModel> model_;
  std::shared_ptr<const ModelSettings> settings_;
  StreamOptions options_;
  int chunk_steps_;
  std::optional<Resampler> resampler_;
  Fbank fbank_;
  Room room_;
  std::unique_ptr<Segment> segment_;
  std::unique_ptr<Segment> next_;    // begins after `segment_`, where the grammar has changed
  int64_t frames_done_ = 0;          // feature frames before the segment, less the room that it begins in
  std::size_t num_kept_frames_ = 0;  // that are encoded already: the next segment may begin in them
  bool has_room_ = false;            // the frames that are ready begin with room, and no segment has begun
  bool is_finished_ = false;
};

}  // namespace halfbyte
