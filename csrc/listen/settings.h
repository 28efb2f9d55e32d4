// Settings of a model file that a stream follows, and those that a caller may change.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "audio/fbank.h"

namespace halfbyte {

// What the metadata of a U2 model file says about features, streaming and decoding.
struct ModelSettings {
  FbankOptions features;
  int subsampling = 0;     // feature frames per encoder step
  int overlap_frames = 0;  // feature frames that neighbouring chunks share
  int chunk_steps = 0;     // encoder steps per chunk, unless the caller chooses
  std::vector<int> chunk_choices_steps;
  int left_context_steps = 0;
  int max_segment_ms = 0;
  std::vector<std::string> tokens;  // UTF-8
  int blank_id = 0;
  int boundary_id = 0;  // starts and ends a sentence
  int beam = 0;
  double ctc_weight = 0;

  // Duration of an encoder step.
  int step_ms() const { return subsampling * features.frame_shift_ms; }
  // Audio after the end of a chunk that the chunk needs.
  int lookahead_ms() const {
    return (overlap_frames - 1) * features.frame_shift_ms + features.frame_length_ms;
  }
  // Encoder steps of a chunk of so many milliseconds; none takes the file's choice.
  // Throws kUsage for a length that the model was not trained for.
  int chunk_steps_of(std::optional<int> chunk_ms) const;
};

// From the section `meta` of a model file. Throws kModelFile where a setting is missing, of the wrong
// type or out of range.
ModelSettings read_settings(const std::string& metadata_json);

// How the final result of a segment is decoded.
enum class Mode { kRescoring, kPrefixBeam, kGreedy, kAttention };

// "rescoring", "prefix_beam", "greedy", "attention". Throws kUsage for another name.
Mode mode_of(const std::string& name);

// A segment ends after `trailing_silence_ms` without a word once words were heard (none: never), and
// after `max_segment_ms` (none: the model's; a longer one counts as that) in any case. Where sound has
// set in by then, that and `pre_roll_ms` of the quiet before it are the next segment's, so that its first
// word is heard from its beginning.
struct EndpointRule {
  std::optional<int> trailing_silence_ms = 800;
  std::optional<int> max_segment_ms;

  int pre_roll_ms() const { return std::min(300, trailing_silence_ms.value_or(0) / 2); }
};

struct StreamOptions {
  static constexpr int kFullContextMs = 0;

  std::optional<int> chunk_ms;  // none: the model's own choice; kFullContextMs: full context
  Mode mode = Mode::kRescoring;
  EndpointRule endpoint;
  int sample_rate_hz = 16000;  // of the samples that will be given
  std::size_t num_best = 1;    // a final result has its text and up to num_best - 1 alternatives
};

}  // namespace halfbyte
