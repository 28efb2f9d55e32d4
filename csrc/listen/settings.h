// Settings of a model file that a stream follows, and those that a caller may change.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "audio/fbank.h"
#include "decode/word_graph.h"

namespace halfbyte {

class Pipeline;
struct StreamOptions;

// What the metadata of a model file say about features, streaming and decoding, whatever the family.
struct ModelSettings {
  std::string family;
  FbankOptions features;
  int subsampling = 0;     // feature frames per encoder step
  int overlap_frames = 0;  // feature frames that neighbouring chunks share
  int chunk_steps = 0;     // encoder steps per chunk, unless the caller chooses
  std::vector<int> chunk_choices_steps;
  int left_context_steps = 0;
  int max_segment_ms = 0;
  std::vector<std::string>
      modes;  // ways to decode a final result, the default first; none: nothing to choose
  std::vector<std::string> labels;           // of what it detects; none where it writes text
  std::vector<double> thresholds;            // of their scores, one for each label, where it has such
  std::shared_ptr<const Pipeline> pipeline;  // of the family

  std::string default_mode() const { return modes.empty() ? "" : modes.front(); }
  // Duration of an encoder step.
  int step_ms() const { return subsampling * features.frame_shift_ms; }
  // Audio after the end of a chunk that the chunk needs.
  int lookahead_ms() const {
    return (overlap_frames - 1) * features.frame_shift_ms + features.frame_length_ms;
  }
  // The options with the model's own choices where the caller has none. Throws kUsage, naming the option, for
  // a value that makes no sense or that the model does not offer.
  StreamOptions checked(StreamOptions options) const;
  // Encoder steps of a chunk at these options, which are checked.
  int chunk_steps_of(const StreamOptions& options) const;
  // Encoder steps of the longest chunk of at most 320 ms that the model was trained for; none: the shortest.
  int short_chunk_steps() const;
};

// From the section `meta` of a model file. Throws kModelFile where a setting is missing, of the wrong
// type or out of range, and for a family that this version does not know.
ModelSettings read_settings(const std::string& metadata_json);

// A segment ends after `trailing_silence_ms` without a word once words were heard (none: never), and
// after `max_segment_ms` (none: the model's; a longer one counts as that) in any case. Where sound has
// set in by then, that and `pre_roll_ms` of the quiet before it are the next segment's, so that its first
// word is heard from its beginning.
struct EndpointRule {
  std::optional<int64_t> trailing_silence_ms = 800;
  std::optional<int64_t> max_segment_ms;

  int pre_roll_ms() const {
    return static_cast<int>(std::min<int64_t>(300, trailing_silence_ms.value_or(0) / 2));
  }
};

// As they come from a caller, so with room for numbers that are refused.
struct StreamOptions {
  static constexpr int64_t kFullContextMs = 0;

  std::optional<int64_t> chunk_ms;  // none: the model's own choice; kFullContextMs: full context
  std::string mode;                 // of final results; empty: the model's own
  EndpointRule endpoint;
  int64_t sample_rate_hz = 16000;             // of the samples that will be given
  int64_t num_best = 1;                       // a result has its text and up to num_best - 1 others
  std::optional<double> min_score;            // of detections; none: the model's thresholds
  std::optional<GrammarSource> grammar = {};  // of what may be said in a segment; none: anything

  bool is_full_context() const { return chunk_ms == kFullContextMs; }
};

}  // namespace halfbyte
