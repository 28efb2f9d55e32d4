#include "decode/ctc_grammar_search.h"

#include <algorithm>
#include <limits>
#include <string>
#include <utility>

#include "error.h"
#include "kernels/float_environment.h"

namespace halfbyte {
namespace {

constexpr double kImpossible = -std::numeric_limits<double>::infinity();
constexpr std::size_t kLeastEmissions = 1 << 16;  // before unused ones are looked for

// The hash of one word more (the finalizer of splitmix64).
uint64_t with_word(uint64_t words, int32_t word) {
  uint64_t mixed = words + (static_cast<uint64_t>(word) + 1) * 0x9E3779B97F4A7C15u;
  mixed = (mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9u;
  mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EBu;
  return mixed ^ (mixed >> 31);
}

// A total order, so that no library's sort can make a difference.
template <class Path>
bool is_likelier(const Path& a, const Path& b) {
  if (a.score != b.score) return a.score > b.score;
  if (a.words != b.words) return a.words < b.words;
  return a.token != b.token ? a.token < b.token : a.emission < b.emission;
}

}  // namespace

void CtcGrammarSearch::Paths::clear() {
  all.clear();
  ends.assign(1, 0);
}

CtcGrammarSearch::CtcGrammarSearch(std::shared_ptr<const Grammar> grammar, int blank_id, int num_best)
    : grammar_(std::move(grammar)),
      graph_(&grammar_->tokens()),
      blank_id_(blank_id),
      num_best_(static_cast<std::size_t>(num_best)),
      arrivals_(graph_->num_nodes()),
      most_emissions_(kLeastEmissions) {
  if (num_best < 1 || num_best > 1000 || blank_id < 0)
    throw Error(ErrorKind::kUsage, "num_best is " + std::to_string(num_best) + " and blank_id " +
                                       std::to_string(blank_id) + "; expected 1 to 1000, and 0 or more");
  const auto num_nodes = static_cast<int32_t>(graph_->num_nodes());
  for (int32_t node = 0; node < num_nodes; ++node)
    for (std::size_t i = graph_->leaves[static_cast<std::size_t>(node)];
         i < graph_->leaves[static_cast<std::size_t>(node) + 1]; ++i)
      arrivals_[static_cast<std::size_t>(graph_->links[i].to)].push_back({node, graph_->links[i].weight});
  blanks_.clear();
  runs_.clear();
  for (int32_t node = 0; node < num_nodes; ++node) {
    if (node == graph_->start) blanks_.all.push_back({0, 0, -1, -1});
    blanks_.ends.push_back(blanks_.all.size());
  }
  runs_.ends.resize(graph_->arcs.size() + 1, 0);
}

void CtcGrammarSearch::accept(const LogProbs& log_probs) {
  FloatEnvironment environment;
  check_log_probs(log_probs, blank_id_);
  for (std::size_t t = 0; t < log_probs.num_frames; ++t, ++num_frames_) {
    accept_frame(log_probs.frame(t));
    free_score_ +=
        static_cast<double>(*std::max_element(log_probs.frame(t), log_probs.frame(t) + log_probs.num_tokens));
  }
}

void CtcGrammarSearch::accept_frame(const float* frame) {
  leave_places();
  reach_nodes();
  enter_arcs(frame);
  const auto blank = static_cast<double>(frame[blank_id_]);
  blanks_.clear();
  for (std::size_t node = 0; node < graph_->num_nodes(); ++node) {
    for (const Path* path = left_.begin(node); path != left_.end(node); ++path) {
      found_.push_back(*path);
      found_.back().score += blank;
      found_.back().token = -1;
    }
    keep_best(&blanks_);
  }
  if (emissions_.size() > most_emissions_) drop_unused_emissions();
}

// What may go on from each node: paths in a blank there, and in the tokens that lead there.
void CtcGrammarSearch::leave_places() {
  left_.clear();
  for (std::size_t node = 0; node < graph_->num_nodes(); ++node) {
    found_.assign(blanks_.begin(node), blanks_.end(node));
    for (std::size_t arc = graph_->entries[node]; arc < graph_->entries[node + 1]; ++arc)
      found_.insert(found_.end(), runs_.begin(arc), runs_.end(arc));
    keep_apart(&left_);
  }
}

// And along the links, with their weights.
void CtcGrammarSearch::reach_nodes() {
  reached_.clear();
  for (const std::vector<TokenGraph::Link>& arrivals : arrivals_) {
    for (const TokenGraph::Link& link : arrivals) {
      const auto from = static_cast<std::size_t>(link.to);
      for (const Path* path = left_.begin(from); path != left_.end(from); ++path) {
        found_.push_back(*path);
        found_.back().score += link.weight;
      }
    }
    keep_apart(&reached_);
  }
}

// Into the tokens: by staying, or from the node before, with a blank between equal tokens.
void CtcGrammarSearch::enter_arcs(const float* frame) {
  std::swap(before_, runs_);
  runs_.clear();
  for (std::size_t i = 0; i < graph_->arcs.size(); ++i) {
    const TokenGraph::Arc& arc = graph_->arcs[i];
    const auto log_prob = static_cast<double>(frame[arc.token]);
    for (const Path* path = before_.begin(i); path != before_.end(i); ++path) {
      found_.push_back(*path);
      found_.back().score += log_prob;
    }
    const auto from = static_cast<std::size_t>(arc.from);
    for (const Path* path = reached_.begin(from); path != reached_.end(from); ++path) {
      if (path->token == arc.token) continue;
      const uint64_t words = arc.word < 0 ? path->words : with_word(path->words, arc.word);
      found_.push_back({path->score + log_prob, words, static_cast<int32_t>(emissions_.size()), arc.token});
      emissions_.push_back({path->emission, arc.token, num_frames_});
    }
    keep_best(&runs_);
  }
}

// The paths of `found_` that may matter, whichever token comes next, as the next place of `to`: for each
// token x, the best of each of the num_best_ best word sequences among those that are not in a run of x.
void CtcGrammarSearch::keep_apart(Paths* to) {
  if (found_.size() > 1) std::sort(found_.begin(), found_.end(), is_likelier<Path>);
  const std::size_t begin = to->all.size();
  for (const Path& path : found_) {
    if (path.score == kImpossible) break;
    bool is_worse = false;
    std::size_t num_same = 0;
    for (std::size_t i = begin; i < to->all.size() && !is_worse; ++i) {
      const Path& other = to->all[i];
      if (other.words != path.words) continue;
      is_worse = other.token == -1 || other.token == path.token || ++num_same == 2;
    }
    if (is_worse) continue;
    if (may_follow(path, to->all.data() + begin, to->all.data() + to->all.size())) to->all.push_back(path);
  }
  to->ends.push_back(to->all.size());
  found_.clear();
}

// Whether a path is among the num_best_ of different words for some next token: `begin` to `end` are better.
bool CtcGrammarSearch::may_follow(const Path& path, const Path* begin, const Path* end) const {
  // For a token that none is in a run of; then for those that paths are in a run of, and this one is not.
  if (num_different(begin, end, -1) < num_best_) return true;
  return std::any_of(begin, end, [&](const Path& other) {
    return other.token >= 0 && other.token != path.token &&
           num_different(begin, end, other.token) < num_best_;
  });
}

// Word sequences of paths that are not in a run of `token`.
std::size_t CtcGrammarSearch::num_different(const Path* begin, const Path* end, int32_t token) {
  std::size_t count = 0;
  for (const Path* path = begin; path != end; ++path) {
    if (token >= 0 && path->token == token) continue;
    count += std::none_of(begin, path, [&](const Path& before) {
      return before.words == path->words && !(token >= 0 && before.token == token);
    });
  }
  return count;
}

// The best paths of `found_`, one of each word sequence, as the next place of `to`.
void CtcGrammarSearch::keep_best(Paths* to) {
  if (found_.size() > 1) std::sort(found_.begin(), found_.end(), is_likelier<Path>);
  const std::size_t begin = to->all.size();
  for (const Path& path : found_) {
    if (path.score == kImpossible || to->all.size() - begin == num_best_) break;
    const auto is_same = [&](const Path& other) { return other.words == path.words; };
    if (std::none_of(to->all.begin() + static_cast<std::ptrdiff_t>(begin), to->all.end(), is_same))
      to->all.push_back(path);
  }
  to->ends.push_back(to->all.size());
  found_.clear();
}

void CtcGrammarSearch::drop_unused_emissions() {
  std::vector<int32_t> moved(emissions_.size(), -1);
  for (const Paths* paths : {&blanks_, &runs_})
    for (const Path& path : paths->all)
      if (path.emission >= 0) moved[static_cast<std::size_t>(path.emission)] = 0;
  for (std::size_t i = emissions_.size(); i-- > 0;)
    if (moved[i] == 0 && emissions_[i].previous >= 0)
      moved[static_cast<std::size_t>(emissions_[i].previous)] = 0;
  std::size_t num_used = 0;
  for (std::size_t i = 0; i < emissions_.size(); ++i) {
    if (moved[i] < 0) continue;
    Emission used = emissions_[i];
    if (used.previous >= 0) used.previous = moved[static_cast<std::size_t>(used.previous)];
    moved[i] = static_cast<int32_t>(num_used);
    emissions_[num_used++] = used;
  }
  emissions_.resize(num_used);
  for (Paths* paths : {&blanks_, &runs_})
    for (Path& path : paths->all)
      if (path.emission >= 0) path.emission = moved[static_cast<std::size_t>(path.emission)];
  most_emissions_ = std::max(kLeastEmissions, 4 * num_used);
}

std::vector<CtcHypothesis> CtcGrammarSearch::best() const {
  FloatEnvironment environment;
  std::vector<Path> ends;
  const auto add = [&](const Paths& paths, std::size_t place, double weight) {
    for (const Path* path = paths.begin(place); path != paths.end(place); ++path) {
      ends.push_back(*path);
      ends.back().score += weight;
    }
  };
  for (const TokenGraph::Link& link : arrivals_[static_cast<std::size_t>(graph_->end)]) {
    const auto node = static_cast<std::size_t>(link.to);
    add(blanks_, node, link.weight);
    for (std::size_t arc = graph_->entries[node]; arc < graph_->entries[node + 1]; ++arc)
      add(runs_, arc, link.weight);
  }
  const auto start = static_cast<std::size_t>(graph_->start);  // nothing said is always a sentence
  for (const Path* path = blanks_.begin(start); path != blanks_.end(start); ++path)
    if (path->emission < 0) ends.push_back(*path);
  std::sort(ends.begin(), ends.end(), is_likelier<Path>);
  std::vector<CtcHypothesis> found;
  std::vector<uint64_t> seen;
  for (const Path& path : ends) {
    if (found.size() == num_best_) break;
    if (std::find(seen.begin(), seen.end(), path.words) != seen.end()) continue;
    seen.push_back(path.words);
    found.push_back(hypothesis_of(path));
  }
  if (found.empty()) found.push_back({{}, {}, kImpossible, kImpossible});
  return found;
}

CtcHypothesis CtcGrammarSearch::partial() const {
  const Path* best = nullptr;
  for (const Paths* paths : {&blanks_, &runs_})
    for (const Path& path : paths->all)
      if (best == nullptr || path.score > best->score) best = &path;
  return best == nullptr ? CtcHypothesis{{}, {}, kImpossible, kImpossible} : hypothesis_of(*best);
}

CtcHypothesis CtcGrammarSearch::hypothesis_of(const Path& path) const {
  CtcHypothesis found{{}, {}, path.score, path.score};
  for (int32_t at = path.emission; at >= 0; at = emissions_[static_cast<std::size_t>(at)].previous) {
    found.tokens.push_back(emissions_[static_cast<std::size_t>(at)].token);
    found.frames.push_back(emissions_[static_cast<std::size_t>(at)].frame);
  }
  std::reverse(found.tokens.begin(), found.tokens.end());
  std::reverse(found.frames.begin(), found.frames.end());
  return found;
}

}  // namespace halfbyte
