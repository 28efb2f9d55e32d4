// A stream: samples in, words out, segment by segment.
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
// arrive: the result does not depend on them. Each chunk may change the partial text; a segment's end,
// by silence or length, settles it. At full context the chunks serve for partial results and
// endpoints, and the segment is encoded once more as a whole for its final result. Digital
// silence between segments is passed over: a segment begins with the first chunk that holds a sound.
class Stream {
 public:
  // Throws kUsage for a chunk length that the model does not offer, kAudio for a sample rate that
  // cannot be converted.
  Stream(std::shared_ptr<AcousticModel> model, const StreamOptions& options);

  // Takes in (num_samples,) samples in [-1, 1) and returns what they change: a partial event where the
  // text of the segment changed, a final one where a segment ended. Throws kUsage after finish(),
  // kAudio for NaN or infinity, of which call nothing is then taken in.
  std::vector<Event> accept(const float* samples, std::size_t num_samples) {
    take(samples, num_samples);
    return run();
  }
  // The two halves of accept(): samples to features, then the chunks that are complete.
  void take(const float* samples, std::size_t num_samples);
  std::vector<Event> run();
  // No more samples follow; returns the last events, the final one included.
  std::vector<Event> finish();

  // Samples, counted from the first of the stream, with which its next chunk is complete.
  int64_t samples_due() const;

  const StreamOptions& options() const { return options_; }
  const ModelSettings& settings() const { return *settings_; }
  int chunk_steps() const { return chunk_steps_; }
  bool is_full_context() const { return options_.chunk_ms == StreamOptions::kFullContextMs; }

  StreamSnapshot save() const;
  // Goes on where save() was called on a stream of equal model and options. Throws kUsage or kInput for
  // what is no such state; this stream is then unchanged.
  void restore(const StreamSnapshot& saved);

 private:
  Segment new_segment() const;
  std::size_t num_frames_ready() const { return fbank_.num_frames_ready() - num_kept_frames_; }
  void keep(std::size_t num_frames);
  std::size_t window_frames() const;
  bool skip_silence(const FloatRows& window);
  void run_chunk(std::size_t num_frames, std::vector<Event>* events);
  EndReason end_reason() const;
  int64_t max_segment_ms() const;
  int64_t num_steps_given_up() const;
  Event end_segment(EndReason reason);
  std::vector<std::string> other_texts(const std::vector<std::vector<int>>& ranked,
                                       const std::string& text) const;
  Event event(const std::string& text, bool is_final) const;
  int64_t start_ms() const;

  std::shared_ptr<AcousticModel> model_;
  std::shared_ptr<const ModelSettings> settings_;
  StreamOptions options_;
  int chunk_steps_;
  std::optional<Resampler> resampler_;
  Fbank fbank_;
  std::unique_ptr<AcousticState> state_;
  Segment segment_;
  EncodedChunk encoded_;             // of the last chunk
  int64_t frames_done_ = 0;          // feature frames of the segments that have ended
  std::size_t num_kept_frames_ = 0;  // that are encoded already: the next segment may begin in them
  bool is_finished_ = false;
};

}  // namespace halfbyte
