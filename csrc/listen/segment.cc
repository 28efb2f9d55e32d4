#include "listen/segment.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "decode/attention_rescoring.h"
#include "decode/attention_search.h"
#include "error.h"
#include "listen/silence.h"

namespace halfbyte {
namespace {

constexpr int kTopTokens = 10;  // likeliest tokens of a step that extend a hypothesis, as in WeNet

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

int64_t steps_of(const std::string& digits) {
  const bool is_number =
      !digits.empty() && digits.size() < 18 && digits.find_first_not_of("0123456789") == std::string::npos;
  if (!is_number) refuse_saved("no number of steps");
  return std::stoll(digits);
}

// The attention decoder may say more than a CTC path can hold; such tokens are spread evenly and have
// no confidence.
std::vector<AlignedToken> spread(const std::vector<int>& tokens, int64_t num_steps) {
  std::vector<AlignedToken> timed;
  const auto count = static_cast<int64_t>(tokens.size());
  for (int64_t i = 0; i < count; ++i)
    timed.push_back(
        {tokens[static_cast<std::size_t>(i)], i * num_steps / count, (i + 1) * num_steps / count, 0.0f});
  return timed;
}

}  // namespace

Segment::Search Segment::new_search(const ModelSettings& settings, Mode mode) {
  if (mode == Mode::kGreedy) return CtcGreedy(settings.blank_id);
  const int top_tokens = std::min(kTopTokens, static_cast<int>(settings.tokens.size()));
  return CtcPrefixBeam(settings.blank_id, settings.beam, top_tokens);
}

Segment::Segment(std::shared_ptr<const ModelSettings> settings, Mode mode, bool keeps_features)
    : settings_(std::move(settings)),
      mode_(mode),
      keeps_features_(keeps_features),
      search_(new_search(*settings_, mode)) {}

void Segment::accept(const FloatRows& window, EncodedChunk* chunk) {
  if (num_silent_steps_ == num_steps_)
    num_silent_steps_ += static_cast<int64_t>(num_silent_steps(window, *settings_, chunk->num_steps));
  if (keeps_features_) keep_features(window);
  take(chunk);
}

void Segment::take(EncodedChunk* chunk) {
  if (chunk->num_tokens != settings_->tokens.size())
    throw Error(ErrorKind::kModelFile, "the model gives " + std::to_string(chunk->num_tokens) +
                                           " log-probabilities a step, its metadata lists " +
                                           std::to_string(settings_->tokens.size()) +
                                           " tokens; export it again");
  const auto num_steps = static_cast<int64_t>(chunk->num_steps);
  const int64_t num_silent = std::clamp<int64_t>(num_silent_steps_ - num_steps_, 0, num_steps);
  make_blank(static_cast<std::size_t>(num_silent), *settings_, &chunk->log_probs);
  num_steps_ += num_steps;
  memory_.insert(memory_.end(), chunk->memory.begin(), chunk->memory.end());
  log_probs_.insert(log_probs_.end(), chunk->log_probs.begin(), chunk->log_probs.end());
  const LogProbs log_probs{chunk->log_probs.data(), chunk->num_steps, chunk->num_tokens};
  std::visit([&](auto& search) { search.accept(log_probs); }, search_);
  update_best();
}

// Appends a window of frames; it repeats the overlap with the one before.
void Segment::keep_features(const FloatRows& window) {
  const std::size_t repeated = features_.empty() ? 0 : static_cast<std::size_t>(settings_->overlap_frames);
  features_.insert(features_.end(), window.data + std::min(repeated, window.num_rows) * window.num_columns,
                   window.data + window.num_rows * window.num_columns);
}

void Segment::update_best() {
  if (const auto* greedy = std::get_if<CtcGreedy>(&search_)) {
    best_tokens_ = greedy->tokens();
    best_frames_ = greedy->frames();
  } else {
    CtcHypothesis best = std::move(std::get<CtcPrefixBeam>(search_).best(1).front());
    best_tokens_ = std::move(best.tokens);
    best_frames_ = std::move(best.frames);
  }
  text_ = text_of(best_tokens_, settings_->tokens);
}

std::optional<int64_t> Segment::last_token_step() const {
  for (std::size_t i = best_tokens_.size(); i-- > 0;)
    if (has_text(best_tokens_[i], settings_->tokens)) return best_frames_[i];
  return std::nullopt;
}

void Segment::truncate(int64_t num_steps) {
  const auto kept = static_cast<std::size_t>(num_steps);
  const std::size_t before = static_cast<std::size_t>(num_steps_);
  memory_.resize(memory_.size() / before * kept);
  log_probs_.resize(log_probs_.size() / before * kept);
  if (keeps_features_) {
    const auto num_frames = kept * static_cast<std::size_t>(settings_->subsampling) +
                            static_cast<std::size_t>(settings_->overlap_frames);
    features_.resize(num_frames * static_cast<std::size_t>(settings_->features.num_mel_bins));
  }
  num_steps_ = num_steps;
  while (!best_frames_.empty() && best_frames_.back() >= num_steps) {
    best_frames_.pop_back();
    best_tokens_.pop_back();
  }
}

void Segment::encode_whole(AcousticModel& model) {
  const auto width = static_cast<std::size_t>(settings_->features.num_mel_bins);
  EncodedChunk whole;
  model.encode({features_.data(), features_.size() / width, width}, *model.initial_state(), &whole);
  memory_.clear();
  log_probs_.clear();
  search_ = new_search(*settings_, mode_);
  num_steps_ = 0;
  take(&whole);
}

std::vector<std::vector<int>> Segment::finalize(AcousticModel& model) const {
  if (num_silent_steps_ == num_steps_) return {{}};
  if (mode_ == Mode::kGreedy) return {best_tokens_};
  if (mode_ == Mode::kPrefixBeam) return searched();
  const auto num_rows = static_cast<std::size_t>(num_steps_);
  const auto decoder = model.decoder({memory_.data(), num_rows, memory_.size() / num_rows});
  return mode_ == Mode::kAttention ? attended(*decoder) : rescored(*decoder);
}

std::vector<CtcHypothesis> Segment::hypotheses() const {
  const auto& search = std::get<CtcPrefixBeam>(search_);
  std::vector<CtcHypothesis> found = search.best(static_cast<std::size_t>(settings_->beam));
  const double best_score = found.front().score;
  const auto is_late = [&](const CtcHypothesis& one) {
    return !one.frames.empty() && one.frames.back() >= num_steps_;
  };
  found.erase(std::remove_if(found.begin(), found.end(), is_late), found.end());
  if (found.empty()) found.push_back({best_tokens_, best_frames_, best_score, best_score});
  return found;
}

std::vector<std::vector<int>> Segment::searched() const {
  std::vector<std::vector<int>> ranked;
  for (CtcHypothesis& found : hypotheses()) ranked.push_back(std::move(found.tokens));
  return ranked;
}

std::vector<std::vector<int>> Segment::rescored(Decoder& decoder) const {
  std::vector<CtcCandidate> candidates;
  for (CtcHypothesis& found : hypotheses()) candidates.push_back({std::move(found.tokens), found.score});
  const int boundary = settings_->boundary_id;
  const auto ranking = attention_rescoring(decoder, candidates, {boundary, boundary, settings_->ctc_weight});
  std::vector<std::vector<int>> ranked;
  for (const Rescored& one : ranking) ranked.push_back(std::move(candidates[one.index].tokens));
  return ranked;
}

std::vector<std::vector<int>> Segment::attended(Decoder& decoder) const {
  const int boundary = settings_->boundary_id;
  const auto max_tokens = static_cast<std::size_t>(num_steps_);
  const auto found = attention_search(decoder, {boundary, boundary, settings_->beam, max_tokens});
  std::vector<std::vector<int>> ranked;
  for (const AttentionHypothesis& one : found) {
    ranked.emplace_back();
    for (const int token : one.tokens) {
      check_known(token);
      if (token != settings_->blank_id) ranked.back().push_back(token);
    }
  }
  return ranked;
}

void Segment::check_known(int token) const {
  if (static_cast<std::size_t>(token) >= settings_->tokens.size())
    throw Error(ErrorKind::kModelFile, "the decoder says token " + std::to_string(token) +
                                           ", which the model's metadata lacks; export it again");
}

std::vector<AlignedToken> Segment::timed(const std::vector<int>& tokens) const {
  int64_t least_steps = static_cast<int64_t>(tokens.size());
  for (std::size_t i = 1; i < tokens.size(); ++i)
    if (tokens[i] == tokens[i - 1]) ++least_steps;  // a blank between them
  if (least_steps > num_steps_) return spread(tokens, num_steps_);
  const std::size_t num_tokens = settings_->tokens.size();
  const LogProbs log_probs{log_probs_.data(), log_probs_.size() / num_tokens, num_tokens};
  return ctc_align(log_probs, tokens, settings_->blank_id);
}

std::vector<std::string> Segment::save() const {
  const auto search = std::visit([](const auto& found) { return found.save(); }, search_);
  return {std::to_string(num_silent_steps_), search, bytes_of(features_), bytes_of(memory_),
          bytes_of(log_probs_)};
}

void Segment::restore(const std::vector<std::string>& saved) {
  if (saved.size() != 5) refuse_saved("a segment has 5 parts, not " + std::to_string(saved.size()));
  num_silent_steps_ = steps_of(saved[0]);
  std::visit([&](auto& search) { search.restore(saved[1]); }, search_);
  num_steps_ = std::visit([](const auto& search) { return search.num_frames(); }, search_);
  features_ = floats_of(saved[2]);
  memory_ = floats_of(saved[3]);
  log_probs_ = floats_of(saved[4]);
  if (!is_consistent())
    refuse_saved("its parts are not those of " + std::to_string(num_steps_) + " encoder steps");
  update_best();
}

bool Segment::is_consistent() const {
  const auto num_steps = static_cast<std::size_t>(num_steps_);
  const ModelSettings& settings = *settings_;
  std::size_t num_frames = 0;
  if (num_steps > 0 && keeps_features_)
    num_frames = num_steps * static_cast<std::size_t>(settings.subsampling) +
                 static_cast<std::size_t>(settings.overlap_frames);
  const auto knows = [&](int token) {
    return token >= 0 && static_cast<std::size_t>(token) < settings.tokens.size();
  };
  std::vector<int> tokens;
  if (const auto* greedy = std::get_if<CtcGreedy>(&search_))
    tokens = greedy->tokens();
  else
    tokens = std::get<CtcPrefixBeam>(search_).best(1).front().tokens;
  return num_silent_steps_ <= num_steps_ &&
         features_.size() == num_frames * static_cast<std::size_t>(settings.features.num_mel_bins) &&
         log_probs_.size() == num_steps * settings.tokens.size() &&
         memory_.size() % std::max<std::size_t>(1, num_steps) == 0 && memory_.empty() == (num_steps == 0) &&
         std::all_of(tokens.begin(), tokens.end(), knows);
}

}  // namespace halfbyte
