#include "listen/settings.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <sstream>

#include "error.h"
#include "graph/names.h"
#include "listen/json.h"

namespace halfbyte {
namespace {

[[noreturn]] void refuse(const std::string& problem) {
  throw Error(ErrorKind::kModelFile, "the model's metadata " + problem + "; export the model again");
}

const Json& member(const Json& object, const std::string& name, Json::Kind kind) {
  const Json* found = object.find(name);
  if (found == nullptr || found->kind != kind) refuse("lacks or mistypes '" + name + "'");
  return *found;
}

int integer_of(const Json& value, const std::string& name) {
  const double number = value.number;
  const double limit = std::numeric_limits<int>::max();
  if (value.kind != Json::Kind::kNumber || number != std::floor(number) || std::fabs(number) > limit)
    refuse("mistypes '" + name + "', which is a whole number");
  return static_cast<int>(number);
}

int integer(const Json& object, const std::string& name) {
  return integer_of(member(object, name, Json::Kind::kNumber), name);
}

std::string shown(double number) {
  std::ostringstream text;
  text << number;
  return text.str();
}

// Ranges: beyond them no model makes sense and memory would not hold (docs/model-file.md).
double number(double least, double largest, const Json& object, const std::string& name) {
  const double value = member(object, name, Json::Kind::kNumber).number;
  if (!(value >= least && value <= largest))
    refuse("has " + name + " " + shown(value) + "; expected " + shown(least) + " to " + shown(largest));
  return value;
}

int in_range(int least, int largest, int value, const std::string& name) {
  if (value < least || value > largest)
    refuse("has " + name + " " + std::to_string(value) + "; expected " + std::to_string(least) + " to " +
           std::to_string(largest));
  return value;
}

int integer(int least, int largest, const Json& object, const std::string& name) {
  return in_range(least, largest, integer(object, name), name);
}

int token_id(const Json& metadata, const std::string& name, std::size_t num_tokens) {
  const int id = integer(metadata, name);
  if (id < 0 || static_cast<std::size_t>(id) >= num_tokens)
    refuse("has " + name + " " + std::to_string(id) + "; expected one of its " + std::to_string(num_tokens) +
           " tokens");
  return id;
}

FbankOptions read_features(const Json& features) {
  FbankOptions options;
  options.sample_rate_hz = integer(1000, 192000, features, "sample_rate_hz");
  options.num_mel_bins = integer(1, 512, features, "num_mel_bins");
  options.frame_length_ms = integer(1, 1000, features, "frame_length_ms");
  options.frame_shift_ms = integer(1, 1000, features, "frame_shift_ms");
  options.low_hz = number(0, 96000, features, "low_hz");
  options.high_hz = number(-96000, 96000, features, "high_hz");
  return options;
}

void read_streaming(const Json& streaming, ModelSettings* settings) {
  constexpr int kMaxChunkSteps = 10000;
  settings->subsampling = integer(1, 64, streaming, "subsampling");
  settings->overlap_frames = integer(0, 1000, streaming, "overlap_frames");
  settings->chunk_steps = integer(1, kMaxChunkSteps, streaming, "chunk_steps");
  for (const Json& choice : member(streaming, "chunk_choices_steps", Json::Kind::kArray).array)
    settings->chunk_choices_steps.push_back(
        in_range(1, kMaxChunkSteps, integer_of(choice, "chunk_choices_steps"), "chunk_choices_steps"));
  settings->left_context_steps = integer(0, 100000, streaming, "left_context_steps");
  settings->max_segment_ms = integer(1, 3600000, streaming, "max_segment_ms");
  const auto& choices = settings->chunk_choices_steps;
  if (std::find(choices.begin(), choices.end(), settings->chunk_steps) == choices.end())
    refuse("has chunk_steps " + std::to_string(settings->chunk_steps) +
           "; expected one of chunk_choices_steps");
}

}  // namespace

ModelSettings read_settings(const std::string& metadata_json) {
  const Json metadata = Json::parse(metadata_json);
  ModelSettings settings;
  settings.features = read_features(member(metadata, "features", Json::Kind::kObject));
  read_streaming(member(metadata, "streaming", Json::Kind::kObject), &settings);
  for (const Json& token : member(metadata, "tokens", Json::Kind::kArray).array) {
    if (token.kind != Json::Kind::kString) refuse("mistypes 'tokens', which are strings");
    if (!is_printable(token.string))  // tokens reach terminals and logs
      refuse("has token " + std::to_string(settings.tokens.size()) + ", which is not printable");
    settings.tokens.push_back(token.string);
  }
  settings.blank_id = token_id(metadata, "blank_id", settings.tokens.size());
  settings.boundary_id = token_id(metadata, "eos_id", settings.tokens.size());
  const Json& decoding = member(metadata, "decoding", Json::Kind::kObject);
  settings.beam = integer(1, 1000, decoding, "beam");
  settings.ctc_weight = number(0, 1000, decoding, "ctc_weight");
  return settings;
}

int ModelSettings::chunk_steps_of(std::optional<int> chunk_ms) const {
  if (!chunk_ms) return chunk_steps;
  const int steps = *chunk_ms / step_ms();
  const auto& choices = chunk_choices_steps;
  if (steps * step_ms() == *chunk_ms && std::find(choices.begin(), choices.end(), steps) != choices.end())
    return steps;
  std::string listed;
  for (const int choice : choices) listed += std::to_string(choice * step_ms()) + ", ";
  throw Error(ErrorKind::kUsage,
              "a chunk of " + std::to_string(*chunk_ms) + " ms is not among the model's: " + listed + "or 0");
}

Mode mode_of(const std::string& name) {
  if (name == "rescoring") return Mode::kRescoring;
  if (name == "prefix_beam") return Mode::kPrefixBeam;
  if (name == "greedy") return Mode::kGreedy;
  if (name == "attention") return Mode::kAttention;
  throw Error(ErrorKind::kUsage, "unknown decoding mode '" + name +
                                     "'; expected one of rescoring, prefix_beam, greedy, attention");
}

}  // namespace halfbyte
