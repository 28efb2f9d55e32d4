// Streaming log-mel filterbank, by Kaldi's definition or Whisper's (docs/features.md).
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "audio/mel.h"

namespace halfbyte {

struct FbankOptions {
  int sample_rate_hz = 16000;
  int num_mel_bins = 80;
  int frame_length_ms = 25;
  int frame_shift_ms = 10;
  double low_hz = 20;
  double high_hz = 0;  // 0 or less: counted down from half the sample rate
  MelDefinition definition = MelDefinition::kKaldi;

  bool operator==(const FbankOptions& other) const {
    return sample_rate_hz == other.sample_rate_hz && num_mel_bins == other.num_mel_bins &&
           frame_length_ms == other.frame_length_ms && frame_shift_ms == other.frame_shift_ms &&
           low_hz == other.low_hz && high_hz == other.high_hz && definition == other.definition;
  }
};

// "kaldi" or "whisper"; throws Error(kUsage) for another name.
MelDefinition mel_definition_named(const std::string& name);

// Samples in, frames of log-mel energies out; the same bits however the samples are split.
// Frame t covers samples [t * shift, t * shift + length); a last piece shorter than a frame gives
// nothing (Kaldi's snip_edges). Copying the object copies the state of the stream.
class Fbank {
 public:
  // Throws Error(kUsage) for options out of range.
  explicit Fbank(const FbankOptions& options = {});

  // samples: (num_samples,) float in [-1, 1). Throws Error(kAudio) on NaN or infinity (then nothing
  // of this call is taken in), Error(kUsage) after finish().
  void accept(const float* samples, size_t num_samples);
  // No more samples follow.
  void finish() { is_finished_ = true; }
  // Back to the start of a new stream.
  void reset();

  // Frames that are computed and not yet popped.
  size_t num_frames_ready() const { return frames_.size() / num_mel_bins() - num_popped_; }
  // (num_frames_ready(), num_mel_bins()) float32, oldest first; valid until the next call.
  const float* frames() const { return frames_.data() + num_popped_ * num_mel_bins(); }
  // Put (num_frames, num_mel_bins()) frames before the oldest.
  void prepend(const float* frames, size_t num_frames);
  // Drop the oldest `num_frames`; throws Error(kUsage) if fewer are ready.
  void pop(size_t num_frames);

  size_t num_mel_bins() const;
  size_t frame_length_samples() const;
  size_t frame_shift_samples() const;
  int64_t num_samples_accepted() const { return num_samples_accepted_; }
  bool is_finished() const { return is_finished_; }

  // The state of the stream as bytes (native byte order), and back. The options are not inside:
  // restore() into an Fbank of the same options; throws Error(kInput) if the bytes do not fit.
  std::string save() const;
  void restore(const std::string& bytes);

 private:
  struct Tables;  // window, transform, filters: constant, shared by copies

  static std::shared_ptr<const Tables> tables_of(const FbankOptions& options);
  void compute_frames(size_t num_frames);
  size_t num_pending(int64_t num_accepted) const;

  std::shared_ptr<const Tables> tables_;
  std::vector<float> pending_;  // samples that a coming frame still needs
  std::vector<float> frames_;   // (popped and ready frames, F)
  size_t num_popped_ = 0;
  int64_t num_samples_accepted_ = 0;
  bool is_finished_ = false;
};

}  // namespace halfbyte
