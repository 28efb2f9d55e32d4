#include "listen/settings.h"

#include <sstream>

#include "audio/resampler.h"
#include "error.h"
#include "listen/json.h"
#include "listen/metadata.h"
#include "listen/pipeline.h"

namespace halfbyte {
namespace {

// Ranges: beyond them no model makes sense and memory would not hold (docs/model-file.md).
FbankOptions read_features(const Metadata& features) {
  FbankOptions options;
  options.sample_rate_hz = features.integer(1000, 192000, "sample_rate_hz");
  options.num_mel_bins = features.integer(1, 512, "num_mel_bins");
  options.frame_length_ms = features.integer(1, 1000, "frame_length_ms");
  options.frame_shift_ms = features.integer(1, 1000, "frame_shift_ms");
  options.low_hz = features.number(0, 96000, "low_hz");
  options.high_hz = features.number(-96000, 96000, "high_hz");
  if (!features.has("definition")) return options;  // Kaldi's
  const std::string definition = features.text("definition");
  if (definition != "kaldi" && definition != "whisper")
    Metadata::refuse("has definition '" + definition + "'; expected kaldi or whisper");
  options.definition = mel_definition_named(definition);
  return options;
}

template <class T>
bool is_among(const std::vector<T>& values, const T& value) {
  return std::find(values.begin(), values.end(), value) != values.end();
}

void read_streaming(const Metadata& streaming, ModelSettings* settings) {
  constexpr int kMaxChunkSteps = 10000;
  settings->subsampling = streaming.integer(1, 64, "subsampling");
  settings->overlap_frames = streaming.integer(0, 1000, "overlap_frames");
  settings->chunk_steps = streaming.integer(1, kMaxChunkSteps, "chunk_steps");
  settings->chunk_choices_steps = streaming.integers(1, kMaxChunkSteps, "chunk_choices_steps");
  settings->left_context_steps = streaming.integer(0, 100000, "left_context_steps");
  settings->max_segment_ms = streaming.integer(1, 3600000, "max_segment_ms");
  if (!is_among(settings->chunk_choices_steps, settings->chunk_steps))
    Metadata::refuse("has chunk_steps " + std::to_string(settings->chunk_steps) +
                     "; expected one of chunk_choices_steps");
}

std::string shown_number(double number) {
  std::ostringstream text;
  text << number;
  return text.str();
}

std::string joined(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

void check_range(const char* name, int64_t value, int64_t least, int64_t largest) {
  if (value < least || value > largest)
    throw Error(ErrorKind::kUsage, std::string(name) + " is " + std::to_string(value) + "; expected " +
                                       std::to_string(least) + " to " + std::to_string(largest));
}

void check_score(const std::optional<double>& min_score, bool is_without_detections) {
  if (!min_score) return;
  if (is_without_detections)
    throw Error(ErrorKind::kUsage, "the model detects nothing; min_score is for detections");
  if (!(*min_score >= 0 && *min_score <= 1))
    throw Error(ErrorKind::kUsage, "min_score is " + shown_number(*min_score) + "; expected a score, 0 to 1");
}

void check_chunk(int64_t chunk_ms, const ModelSettings& settings) {
  const auto& choices = settings.chunk_choices_steps;
  const auto is_it = [&](int64_t steps) { return steps * settings.step_ms() == chunk_ms; };
  if (std::any_of(choices.begin(), choices.end(), is_it)) return;
  std::string listed;
  for (const int choice : choices) listed += std::to_string(choice * settings.step_ms()) + ", ";
  throw Error(ErrorKind::kUsage, "chunk_ms is " + std::to_string(chunk_ms) +
                                     "; expected one of the model's: " + listed + "or 0");
}

}  // namespace

ModelSettings read_settings(const std::string& metadata_json) {
  const Json json = Json::parse(metadata_json);
  const Metadata metadata(json);
  ModelSettings settings;
  settings.family = metadata.text("family");
  const PipelineDefinition& pipeline = pipeline_of(settings.family);
  settings.features = read_features(metadata.object("features"));
  read_streaming(metadata.object("streaming"), &settings);
  if (metadata.has("labels")) settings.labels = metadata.texts("labels");
  if (metadata.has("thresholds")) settings.thresholds = metadata.numbers(0, 1, "thresholds");
  if (metadata.has("decoding")) settings.modes = metadata.object("decoding").texts("modes");
  settings.pipeline = pipeline.open(metadata, settings);
  return settings;
}

StreamOptions ModelSettings::checked(StreamOptions options) const {
  if (options.chunk_ms && !options.is_full_context()) check_chunk(*options.chunk_ms, *this);
  if (options.mode.empty()) options.mode = default_mode();
  if (!modes.empty() && !is_among(modes, options.mode))
    throw Error(ErrorKind::kUsage,
                "the model has no decoding mode '" + options.mode + "'; it has " + joined(modes));
  if (modes.empty() && !options.mode.empty())
    throw Error(ErrorKind::kUsage, "the model has no decoding modes, so '" + options.mode +
                                       "' cannot be chosen; leave mode out");
  const EndpointRule& rule = options.endpoint;
  if (rule.trailing_silence_ms) check_range("trailing_silence_ms", *rule.trailing_silence_ms, 0, 60000);
  if (rule.max_segment_ms) check_range("max_segment_ms", *rule.max_segment_ms, 1, 3600000);
  check_range("num_best", options.num_best, 1, 1000);
  check_score(options.min_score, labels.empty());
  if (options.grammar && !pipeline->takes_grammar())
    throw Error(ErrorKind::kUsage, "models of the family '" + family + "' take no grammar");
  Resampler::check_rate(options.sample_rate_hz);
  return options;
}

int ModelSettings::chunk_steps_of(const StreamOptions& options) const {
  if (!options.chunk_ms || options.is_full_context()) return chunk_steps;
  return static_cast<int>(*options.chunk_ms / step_ms());
}

int ModelSettings::short_chunk_steps() const {
  constexpr int kShortMs = 320;
  int longest = *std::min_element(chunk_choices_steps.begin(), chunk_choices_steps.end());
  for (const int steps : chunk_choices_steps)
    if (steps * step_ms() <= kShortMs) longest = std::max(longest, steps);
  return longest;
}

}  // namespace halfbyte
