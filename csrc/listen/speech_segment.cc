#include "listen/speech_segment.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "audio/samples.h"
#include "error.h"
#include "listen/pauses.h"
#include "listen/words.h"

namespace halfbyte {
namespace {

constexpr std::size_t kNumParts = 6;  // of a saved segment

std::string bytes_of(const std::vector<float>& values) {
  return std::string(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float));
}

[[noreturn]] void refuse_saved(const std::string& problem) {
  throw Error(ErrorKind::kUsage, "the saved state of a stream is damaged: " + problem);
}

std::vector<float> floats_of(const std::string& bytes) {
  if (bytes.size() % sizeof(float) != 0) refuse_saved("half a number");
  std::vector<float> values(bytes.size() / sizeof(float));
  if (!values.empty()) std::memcpy(values.data(), bytes.data(), bytes.size());
  return values;
}

void append(const std::vector<float>& values, std::vector<float>* to) {
  to->insert(to->end(), values.begin(), values.end());
}

}  // namespace

SpeechSegment::SpeechSegment(std::shared_ptr<const SpeechParts> parts, std::unique_ptr<FirstPass> first_pass)
    : parts_(std::move(parts)),
      first_pass_(std::move(first_pass)),
      state_(parts_->graphs->initial_state(parts_->encoder)),
      chunk_{{{parts_->memory}, {parts_->log_probs}}} {}

Ending SpeechSegment::accept(const FloatRows& window, int64_t start_ms, std::vector<Event>* events) {
  encode(window, state_.get());
  append(chunk_.memory().values, &memory_);
  append(chunk_.log_probs().values, &log_probs_);
  append(levels_of(window, chunk_.num_steps(), static_cast<std::size_t>(parts_->settings->subsampling)),
         &levels_);
  first_pass_->accept(chunk_);
  keep_features(window);
  std::string text = partial_text();
  if (text != text_) {
    text_ = std::move(text);
    const auto num_best = static_cast<std::size_t>(parts_->options.num_best);
    events->push_back(
        Text{text_, false, start_ms, end_ms(start_ms), {}, texts_of(first_pass_->hypotheses(num_best))});
  }
  return first_ending(parts_->endpointers, {num_steps(), last_token_step()});
}

// A chunk of encoder steps into chunk_.
void SpeechSegment::encode(const FloatRows& window, RunState* state) {
  parts_->graphs->run(parts_->encoder, {{"features", window.tensor()}}, state, &chunk_.outputs);
  const ModelSettings& settings = *parts_->settings;
  const int64_t promised =
      (static_cast<int64_t>(window.num_rows) - settings.overlap_frames) / settings.subsampling;
  for (const GraphOutputValues& output : chunk_.outputs)
    if (output.shape[0] != 1 || output.shape[1] != promised)
      throw Error(ErrorKind::kModelFile, std::string("the encoder's ") + output.name + " is " +
                                             output.shape.to_string() + "; its metadata promise " +
                                             std::to_string(promised) + " steps; export the model again");
  if (chunk_.log_probs().size(2) != parts_->tokens->size())
    throw Error(ErrorKind::kModelFile, "the model gives " + chunk_.log_probs().shape.to_string() +
                                           " log-probabilities, its metadata list " +
                                           std::to_string(parts_->tokens->size()) +
                                           " tokens; export it again");
}

// Appends a window of frames, where a second encoding may ask for it; it repeats the overlap with the one
// before.
void SpeechSegment::keep_features(const FloatRows& window) {
  if (features_.size() == num_kept_frames() * window.num_columns) return;
  const std::size_t repeated =
      features_.empty() ? 0 : static_cast<std::size_t>(parts_->settings->overlap_frames);
  features_.insert(features_.end(), window.data + std::min(repeated, window.num_rows) * window.num_columns,
                   window.data + window.num_rows * window.num_columns);
}

std::string SpeechSegment::partial_text() const {
  return text_of(first_pass_->partial().tokens, *parts_->tokens);
}

// Step of the last token with text of the best hypothesis. (A lone start of a word does not count: models say
// it early, in silence.)
std::optional<int64_t> SpeechSegment::last_token_step() const {
  const Hypothesis& best = first_pass_->partial();
  for (std::size_t i = best.tokens.size(); i-- > 0;)
    if (has_text(best.tokens[i], *parts_->tokens)) return best.steps[i];
  return std::nullopt;
}

std::unique_ptr<Segment> SpeechSegment::end(EndReason reason, int64_t num_steps, int64_t start_ms,
                                            std::vector<Event>* events) {
  if (num_steps < this->num_steps()) truncate(num_steps);
  if (parts_->options.is_full_context()) encode_whole();
  const std::vector<Hypothesis> ranked = finalize();
  std::vector<ScoredText> texts = texts_of(ranked);
  events->push_back(Endpoint{reason, end_ms(start_ms)});
  Text said{
      texts.front().text, true, start_ms, end_ms(start_ms), words_of_best(ranked.front(), start_ms), {}};
  if (parts_->grammar) said.slots = parts_->grammar->slots(said.text);
  said.hypotheses = std::move(texts);
  events->push_back(std::move(said));
  return std::make_unique<SpeechSegment>(parts_, first_pass_->carry());
}

// Gives up the steps after the first `num_steps`; the best hypothesis must have its last text before.
void SpeechSegment::truncate(int64_t num_steps) {
  const auto kept = static_cast<std::size_t>(num_steps);
  const auto before = static_cast<std::size_t>(this->num_steps());
  levels_.resize(kept);
  memory_.resize(memory_.size() / before * kept);
  log_probs_.resize(log_probs_.size() / before * kept);
  first_pass_->truncate(num_steps);
  features_.resize(num_kept_frames() * static_cast<std::size_t>(parts_->settings->features.num_mel_bins));
}

int64_t SpeechSegment::first_chunk_steps() const {
  return std::min<int64_t>(num_steps(), parts_->settings->chunk_steps_of(parts_->options));
}

// Frames of features that a second encoding may ask for.
std::size_t SpeechSegment::num_kept_frames() const {
  const ModelSettings& settings = *parts_->settings;
  int64_t num_kept = first_chunk_steps() > settings.short_chunk_steps() ? first_chunk_steps() : 0;
  if (parts_->options.is_full_context()) num_kept = num_steps();
  return num_kept == 0 ? 0
                       : static_cast<std::size_t>(num_kept * settings.subsampling + settings.overlap_frames);
}

// Encodes the segment once more and searches again.
void SpeechSegment::encode_whole() {
  const auto width = static_cast<std::size_t>(parts_->settings->features.num_mel_bins);
  first_pass_->reset();
  encode({features_.data(), features_.size() / width, width},
         parts_->graphs->initial_state(parts_->encoder).get());
  memory_ = chunk_.memory().values;
  first_pass_->accept(chunk_);
}

// The final hypotheses, likeliest first; at least one.
std::vector<Hypothesis> SpeechSegment::finalize() const {
  std::vector<Hypothesis> found = first_pass_->hypotheses(parts_->num_candidates);
  if (!parts_->second_pass) return found;
  const auto num_rows = static_cast<std::size_t>(num_steps());
  std::vector<Hypothesis> ranked =
      parts_->second_pass->finalize(std::move(found), {memory_.data(), num_rows, memory_.size() / num_rows});
  if (!knows_tokens(ranked))
    throw Error(ErrorKind::kModelFile,
                "the decoder says a token that the model's metadata lack; export it again");
  if (!text_.empty()) keep_words(&ranked);
  return ranked;
}

// Words that were heard do not vanish where the second pass would rather have none: those that it likes best
// come first.
void SpeechSegment::keep_words(std::vector<Hypothesis>* ranked) const {
  const auto has_words = [&](const Hypothesis& one) { return !text_of(one.tokens, *parts_->tokens).empty(); };
  const auto first = std::find_if(ranked->begin(), ranked->end(), has_words);
  if (first != ranked->end()) std::rotate(ranked->begin(), first, first + 1);
}

// The n best texts; tokens may differ where texts do not.
std::vector<ScoredText> SpeechSegment::texts_of(const std::vector<Hypothesis>& ranked) const {
  std::vector<ScoredText> texts;
  for (const Hypothesis& one : ranked) {
    if (texts.size() == static_cast<std::size_t>(parts_->options.num_best)) break;
    ScoredText found{text_of(one.tokens, *parts_->tokens), one.score};
    const auto is_same = [&](const ScoredText& other) { return other.text == found.text; };
    if (std::none_of(texts.begin(), texts.end(), is_same)) texts.push_back(std::move(found));
  }
  return texts;
}

std::vector<AlignedToken> SpeechSegment::aligned(const std::vector<float>& log_probs,
                                                 const Hypothesis& found) const {
  const std::size_t num_tokens = parts_->tokens->size();
  return align_or_spread({log_probs.data(), log_probs.size() / num_tokens, num_tokens}, found.tokens,
                         parts_->blank_id);
}

// On the pass in chunks, without pauses.
std::vector<AlignedToken> SpeechSegment::placed(const Hypothesis& found) const {
  return aligned(without_pauses(log_probs_, levels_, parts_->blank_id), found);
}

// Confidences come from the pass that found the words, times from one whose tokens are where the words are.
std::vector<Word> SpeechSegment::words_of_best(const Hypothesis& best, int64_t start_ms) {
  const bool is_whole = parts_->options.is_full_context();
  const std::vector<AlignedToken> found = aligned(is_whole ? chunk_.log_probs().values : log_probs_, best);
  std::vector<AlignedToken> timed = placed(best);
  if (!timed.empty() && timed.front().start_frame < first_chunk_steps()) {
    encode_first_chunk_in_pieces();
    timed = placed(best);
  }
  for (std::size_t i = 0; i < timed.size(); ++i) timed[i].confidence = found[i].confidence;
  return words_of(timed, *parts_->tokens, parts_->settings->step_ms(), start_ms);
}

// Its log-probabilities take the place of those that it had.
void SpeechSegment::encode_first_chunk_in_pieces() {
  const ModelSettings& settings = *parts_->settings;
  const int64_t num_steps = first_chunk_steps(), longest = settings.short_chunk_steps();
  if (num_steps <= longest) return;
  const auto width = static_cast<std::size_t>(settings.features.num_mel_bins);
  const std::unique_ptr<RunState> state = parts_->graphs->initial_state(parts_->encoder);
  auto next = log_probs_.begin();
  for (int64_t at = 0; at < num_steps; at += longest) {
    const int64_t num_frames =
        std::min(longest, num_steps - at) * settings.subsampling + settings.overlap_frames;
    encode({features_.data() + static_cast<std::size_t>(at * settings.subsampling) * width,
            static_cast<std::size_t>(num_frames), width},
           state.get());
    next = std::copy(chunk_.log_probs().values.begin(), chunk_.log_probs().values.end(), next);
  }
}

bool SpeechSegment::knows_tokens(const std::vector<Hypothesis>& hypotheses) const {
  const auto is_known = [&](int token) {
    return token >= 0 && static_cast<std::size_t>(token) < parts_->tokens->size();
  };
  return std::all_of(hypotheses.begin(), hypotheses.end(), [&](const Hypothesis& one) {
    return std::all_of(one.tokens.begin(), one.tokens.end(), is_known);
  });
}

std::vector<std::string> SpeechSegment::save() const {
  return {first_pass_->save(),  bytes_of(features_), bytes_of(memory_),
          bytes_of(log_probs_), bytes_of(levels_),   parts_->graphs->save_state(*state_)};
}

void SpeechSegment::restore(const std::vector<std::string>& saved) {
  if (saved.size() != kNumParts)
    refuse_saved("a segment has " + std::to_string(kNumParts) + " parts, not " +
                 std::to_string(saved.size()));
  first_pass_->restore(saved[0]);
  features_ = floats_of(saved[1]);
  memory_ = floats_of(saved[2]);
  log_probs_ = floats_of(saved[3]);
  levels_ = floats_of(saved[4]);
  state_ = parts_->graphs->restore_state(parts_->encoder, saved[5]);
  if (!is_consistent())
    refuse_saved("its parts are not those of " + std::to_string(num_steps()) + " encoder steps");
  check_log_probs({log_probs_.data(), static_cast<std::size_t>(num_steps()), parts_->tokens->size()},
                  parts_->blank_id);
  text_ = partial_text();
}

bool SpeechSegment::is_consistent() const {
  const auto num_steps = static_cast<std::size_t>(this->num_steps());
  const auto width = static_cast<std::size_t>(parts_->settings->features.num_mel_bins);
  return features_.size() == num_kept_frames() * width && levels_.size() == num_steps &&
         log_probs_.size() == num_steps * parts_->tokens->size() &&
         memory_.size() % std::max<std::size_t>(1, num_steps) == 0 && memory_.empty() == (num_steps == 0) &&
         knows_tokens(first_pass_->hypotheses(parts_->num_candidates)) && are_finite(features_) &&
         are_finite(memory_) && are_finite(levels_);
}

}  // namespace halfbyte
