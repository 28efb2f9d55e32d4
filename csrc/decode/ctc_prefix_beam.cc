#include "decode/ctc_prefix_beam.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "error.h"
#include "kernels/float_environment.h"
#include "specified_math.h"
#include "state_bytes.h"

namespace halfbyte {
namespace {

constexpr uint32_t kStateTag = 0x31504248;  // "HBP1"
constexpr int64_t kMostFrames = int64_t{1} << 40;

uint64_t key_of(int32_t parent, int32_t token) {
  return static_cast<uint64_t>(static_cast<uint32_t>(parent)) << 32 | static_cast<uint32_t>(token);
}

}  // namespace

const CtcPrefixBeam::Path& CtcPrefixBeam::Entry::best_path() const {
  return best_blank.score >= best_other.score ? best_blank : best_other;
}

CtcPrefixBeam::CtcPrefixBeam(int blank_id, int beam, int num_top_tokens)
    : blank_id_(blank_id), beam_size_(beam), num_top_tokens_(num_top_tokens) {
  if (blank_id < 0 || beam < 1 || beam > 1000 || num_top_tokens < 1 || num_top_tokens > 1000) {
    throw Error(ErrorKind::kUsage, "ctc_prefix_beam: blank_id " + std::to_string(blank_id) + ", beam " +
                                       std::to_string(beam) + ", num_top_tokens " +
                                       std::to_string(num_top_tokens) +
                                       "; expected >= 0, 1 to 1000, 1 to 1000");
  }
  reset();
}

void CtcPrefixBeam::reset() {
  num_frames_ = 0;
  prefixes_.assign(1, Prefix{-1, -1});
  prefix_index_.clear();
  emissions_.clear();
  Entry empty(-1, -1);
  empty.blank = empty.total = empty.best_blank.score = 0.0;
  empty.prefix = 0;
  beam_.assign(1, empty);
}

void CtcPrefixBeam::accept(const LogProbs& log_probs) {
  FloatEnvironment environment;
  check_log_probs(log_probs, blank_id_);
  for (size_t t = 0; t < log_probs.num_frames; ++t) {
    top_tokens(log_probs.frame(t), log_probs.num_tokens, static_cast<size_t>(num_top_tokens_), &tokens_);
    accept_frame(log_probs.frame(t));
  }
}

void CtcPrefixBeam::accept_frame(const float* frame) {
  candidates_.clear();
  candidate_index_.clear();
  for (const Entry& entry : beam_) {
    for (int token : tokens_) extend(entry, token, frame[token]);
  }
  keep_best();
  ++num_frames_;
}

CtcPrefixBeam::Entry& CtcPrefixBeam::candidate(int32_t parent, int32_t token) {
  auto [place, is_new] = candidate_index_.try_emplace(key_of(parent, token), candidates_.size());
  if (is_new) candidates_.push_back(Entry(parent, token));
  return candidates_[place->second];
}

// One entry of the beam followed by one token. A repeated token either continues the last one, or,
// after a blank, begins another.
void CtcPrefixBeam::extend(const Entry& entry, int token, float log_prob) {
  const Path& best = entry.best_path();
  if (token == blank_id_) {
    Entry& same = candidate(entry.parent, entry.token);
    same.blank = log_add(same.blank, entry.total + log_prob);
    if (best.score + log_prob > same.best_blank.score) {
      same.best_blank = best;
      same.best_blank.score = best.score + log_prob;
    }
    return;
  }
  bool is_repeat = token == entry.token;
  if (is_repeat) {
    Entry& same = candidate(entry.parent, entry.token);
    same.other = log_add(same.other, entry.other + log_prob);
    const Path& run = entry.best_other;
    if (run.score + log_prob > same.best_other.score) {
      same.best_other = run;
      same.best_other.score = run.score + log_prob;
      if (log_prob > run.peak) {
        same.best_other.emission = emissions_[static_cast<size_t>(run.emission)].previous;
        same.best_other.is_emitted_now = true;
        same.best_other.peak = log_prob;
      }
    }
  }
  const Path& before = is_repeat ? entry.best_blank : best;
  double mass = (is_repeat ? entry.blank : entry.total) + log_prob;
  Entry& longer = candidate(entry.prefix, token);
  longer.other = log_add(longer.other, mass);
  if (before.score + log_prob > longer.best_other.score) {
    longer.best_other = Path{before.score + log_prob, before.emission, true, log_prob};
  }
}

void CtcPrefixBeam::keep_best() {
  for (Entry& entry : candidates_) entry.total = log_add(entry.blank, entry.other);
  // Impossible ones: a repeated token where no path ends in blank, or of probability zero.
  auto is_impossible = [](const Entry& entry) { return entry.total == kImpossible; };
  candidates_.erase(std::remove_if(candidates_.begin(), candidates_.end(), is_impossible), candidates_.end());
  std::stable_sort(candidates_.begin(), candidates_.end(),
                   [](const Entry& a, const Entry& b) { return a.total > b.total; });
  beam_.assign(candidates_.begin(),
               candidates_.begin() +
                   static_cast<ptrdiff_t>(std::min(candidates_.size(), static_cast<size_t>(beam_size_))));
  for (Entry& entry : beam_) {
    entry.prefix = prefix_of(entry.parent, entry.token);
    settle(&entry.best_blank);
    settle(&entry.best_other);
  }
}

// The node of a prefix. One that left the beam and came back keeps its node, for its descendants
// may be in the beam.
int32_t CtcPrefixBeam::prefix_of(int32_t parent, int32_t token) {
  if (parent < 0) return 0;
  auto [place, is_new] =
      prefix_index_.try_emplace(key_of(parent, token), static_cast<int32_t>(prefixes_.size()));
  if (is_new) prefixes_.push_back(Prefix{parent, token});
  return place->second;
}

void CtcPrefixBeam::settle(Path* path) {
  if (!path->is_emitted_now) return;
  emissions_.push_back(Emission{path->emission, num_frames_});
  path->emission = static_cast<int64_t>(emissions_.size()) - 1;
  path->is_emitted_now = false;
}

std::vector<CtcHypothesis> CtcPrefixBeam::best(size_t count) const {
  std::vector<CtcHypothesis> hypotheses;
  for (size_t i = 0; i < std::min(count, beam_.size()); ++i) {
    const Entry& entry = beam_[i];
    const Path& path = entry.best_path();
    CtcHypothesis hypothesis{{}, {}, entry.total, path.score};
    for (int32_t node = entry.prefix; node > 0; node = prefixes_[static_cast<size_t>(node)].parent) {
      hypothesis.tokens.push_back(prefixes_[static_cast<size_t>(node)].token);
    }
    for (int64_t e = path.emission; e >= 0; e = emissions_[static_cast<size_t>(e)].previous) {
      hypothesis.frames.push_back(emissions_[static_cast<size_t>(e)].frame);
    }
    std::reverse(hypothesis.tokens.begin(), hypothesis.tokens.end());
    std::reverse(hypothesis.frames.begin(), hypothesis.frames.end());
    hypotheses.push_back(std::move(hypothesis));
  }
  return hypotheses;
}

std::string CtcPrefixBeam::save() const {
  StateWriter writer(kStateTag);
  for (int setting : {blank_id_, beam_size_, num_top_tokens_}) writer.put(setting);
  writer.put(num_frames_);
  writer.put_all(prefixes_);
  writer.put_all(emissions_);
  writer.put(static_cast<uint64_t>(beam_.size()));
  for (const Entry& entry : beam_) {
    writer.put(entry.prefix);
    writer.put(entry.blank);
    writer.put(entry.other);
    for (const Path* path : {&entry.best_blank, &entry.best_other}) {
      writer.put(path->score);
      writer.put(path->emission);
      writer.put(path->peak);
    }
  }
  return writer.bytes();
}

void CtcPrefixBeam::restore(const std::string& bytes) {
  FloatEnvironment environment;
  StateReader reader(kStateTag, bytes);
  CtcPrefixBeam restored(blank_id_, beam_size_, num_top_tokens_);
  for (int setting : {blank_id_, beam_size_, num_top_tokens_}) {
    if (reader.get<int>() != setting) {
      throw Error(ErrorKind::kInput,
                  "saved search state of other settings; restore it into a "
                  "search of the same blank_id, beam and num_top_tokens");
    }
  }
  restored.num_frames_ = reader.get<int64_t>();
  restored.prefixes_ = reader.get_all<Prefix>();
  restored.emissions_ = reader.get_all<Emission>();
  restored.beam_.clear();
  for (uint64_t left = reader.get<uint64_t>(); left > 0; --left) {
    Entry entry(-1, -1);
    entry.prefix = reader.get<int32_t>();
    entry.blank = reader.get<double>();
    entry.other = reader.get<double>();
    entry.total = log_add(entry.blank, entry.other);
    for (Path* path : {&entry.best_blank, &entry.best_other}) {
      path->score = reader.get<double>();
      path->emission = reader.get<int64_t>();
      path->peak = reader.get<float>();
    }
    restored.beam_.push_back(entry);
  }
  reader.finish();
  if (!restored.is_consistent()) throw Error(ErrorKind::kInput, "saved search state is damaged");
  for (size_t node = 1; node < restored.prefixes_.size(); ++node) {
    const Prefix& prefix = restored.prefixes_[node];
    restored.prefix_index_[key_of(prefix.parent, prefix.token)] = static_cast<int32_t>(node);
  }
  for (Entry& entry : restored.beam_) {
    entry.parent = restored.prefixes_[static_cast<size_t>(entry.prefix)].parent;
    entry.token = restored.prefixes_[static_cast<size_t>(entry.prefix)].token;
  }
  *this = std::move(restored);
}

// Tokens of every prefix; none where a prefix is not made of an earlier one and a token.
std::vector<int64_t> CtcPrefixBeam::prefix_lengths() const {
  std::vector<int64_t> lengths;
  for (const Prefix& prefix : prefixes_) {
    const bool is_root = lengths.empty();
    const bool is_right = is_root ? prefix.parent == -1 && prefix.token == -1
                                  : prefix.parent >= 0 && prefix.token >= 0 && prefix.token != blank_id_ &&
                                        static_cast<size_t>(prefix.parent) < lengths.size();
    if (!is_right) return {};
    lengths.push_back(is_root ? 0 : lengths[static_cast<size_t>(prefix.parent)] + 1);
  }
  return lengths;
}

// Frames up to every emission; fewer than there are emissions where one is not later than those before it.
std::vector<int64_t> CtcPrefixBeam::emission_lengths() const {
  std::vector<int64_t> lengths;
  for (const Emission& emission : emissions_) {
    const bool is_first = emission.previous == -1;
    if (!is_first && (emission.previous < 0 || static_cast<size_t>(emission.previous) >= lengths.size()))
      return lengths;
    const int64_t before = is_first ? -1 : emissions_[static_cast<size_t>(emission.previous)].frame;
    if (emission.frame <= before || emission.frame >= num_frames_) return lengths;
    lengths.push_back(is_first ? 1 : lengths[static_cast<size_t>(emission.previous)] + 1);
  }
  return lengths;
}

// Whether frames could have given this: every link points backwards, scores are numbers, and a path has one
// frame for each of its tokens.
bool CtcPrefixBeam::is_consistent() const {
  const std::vector<int64_t> prefix_tokens = prefix_lengths(), emission_frames = emission_lengths();
  if (prefix_tokens.empty() || emission_frames.size() != emissions_.size() || beam_.empty() ||
      beam_.size() > static_cast<size_t>(beam_size_) || num_frames_ < 0 || num_frames_ > kMostFrames)
    return false;
  const auto is_score = [](double score) { return score < -kImpossible; };  // and so no NaN
  return std::all_of(beam_.begin(), beam_.end(), [&](const Entry& e) {
    if (e.prefix < 0 || static_cast<size_t>(e.prefix) >= prefix_tokens.size()) return false;
    const int64_t num_tokens = prefix_tokens[static_cast<size_t>(e.prefix)];
    const auto is_path = [&](const Path& path) {
      if (path.score == kImpossible) return path.emission == -1;
      if (path.emission < -1 || path.emission >= static_cast<int64_t>(emission_frames.size())) return false;
      const int64_t frames = path.emission < 0 ? 0 : emission_frames[static_cast<size_t>(path.emission)];
      return is_score(path.score) && !std::isnan(path.peak) && frames == num_tokens;
    };
    return is_score(e.blank) && is_score(e.other) && is_score(e.total) && e.total > kImpossible &&
           e.best_path().score > kImpossible && (num_tokens > 0 || e.best_other.score == kImpossible) &&
           is_path(e.best_blank) && is_path(e.best_other);
  });
}

}  // namespace halfbyte
