#include "decode/transducer_search.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "decode/log_probs.h"
#include "error.h"
#include "kernels/float_environment.h"
#include "specified_math.h"
#include "state_bytes.h"

namespace halfbyte {
namespace {

constexpr uint32_t kStateTag = 0x31425254;  // "TRB1"
constexpr int64_t kMostSteps = int64_t{1} << 40;

void check_setting(const char* name, int value, int least, int largest) {
  if (value >= least && value <= largest) return;
  throw Error(ErrorKind::kUsage, std::string(name) + " is " + std::to_string(value) + "; expected " +
                                     std::to_string(least) + " to " + std::to_string(largest));
}

// Adds a path, or its probability to that of an equal sequence.
template <class Path>
void merge(Path path, std::vector<Path>* into) {
  const auto same = std::find_if(into->begin(), into->end(),
                                 [&](const Path& other) { return other.tokens == path.tokens; });
  if (same == into->end())
    into->push_back(std::move(path));
  else
    same->score = log_add(same->score, path.score);
}

template <class Scored>
void sort_likeliest_first(std::vector<Scored>* all) {
  std::stable_sort(all->begin(), all->end(),
                   [](const Scored& a, const Scored& b) { return a.score > b.score; });
}

template <class T>
void keep_first(std::size_t count, std::vector<T>* all) {
  if (all->size() > count) all->erase(all->begin() + static_cast<std::ptrdiff_t>(count), all->end());
}

}  // namespace

TransducerSearch::TransducerSearch(std::shared_ptr<Transducer> model, const TransducerSettings& settings)
    : model_(std::move(model)), settings_(settings) {
  check_setting("beam", settings.beam, 1, 1000);
  check_setting("max_symbols", settings.max_symbols, 1, 100);
  check_setting("blank_id", settings.blank_id, 0, settings.num_tokens - 1);
  reset();
}

void TransducerSearch::reset() {
  num_heard_ = 0;
  beam_ = {Path{{}, {}, 0.0, nullptr}};
  rank();
}

std::unique_ptr<FirstPass> TransducerSearch::carry() const {
  return std::make_unique<TransducerSearch>(model_, settings_);
}

void TransducerSearch::accept(const EncodedChunk& chunk) {
  const FloatEnvironment environment;
  const std::size_t width = chunk.memory().size(2);
  for (std::size_t step = 0; step < chunk.num_steps(); ++step)
    accept_step(chunk.memory().values.data() + step * width, width);
  rank();
}

void TransducerSearch::accept_step(const float* encoded, std::size_t width) {
  const auto beam = static_cast<std::size_t>(settings_.beam);
  std::vector<Path> open = std::move(beam_), closed;
  for (int symbol = 1; symbol <= settings_.max_symbols && !open.empty(); ++symbol) {
    predict(&open);
    std::vector<Path> longer;
    for (const Extension& each : extensions(open, encoded, width))
      merge(extended(open[each.path], each),
            each.token == settings_.blank_id || symbol == settings_.max_symbols ? &closed : &longer);
    open = std::move(longer);
    sort_likeliest_first(&closed);
    if (closed.size() < beam) continue;
    // What is less likely now cannot be among the best at the end of the step.
    const double least = closed[beam - 1].score;
    open.erase(
        std::remove_if(open.begin(), open.end(), [&](const Path& path) { return path.score <= least; }),
        open.end());
  }
  keep_first(beam, &closed);
  beam_ = std::move(closed);
  ++num_heard_;
}

// Runs the predictor for the paths that lack its output, all at once.
void TransducerSearch::predict(std::vector<Path>* paths) {
  constexpr std::size_t kContext = Transducer::kContextTokens;
  TokenRows contexts{0, kContext, {}};
  for (const Path& path : *paths) {
    if (path.predicted) continue;
    ++contexts.num_rows;
    for (std::size_t back = kContext; back > 0; --back)
      contexts.ids.push_back(back > path.tokens.size() ? settings_.blank_id
                                                       : path.tokens[path.tokens.size() - back]);
  }
  if (contexts.num_rows == 0) return;
  const FloatRows found = model_->predict(contexts);
  const float* row = found.data;
  for (Path& path : *paths) {
    if (path.predicted) continue;
    path.predicted = std::make_shared<const std::vector<float>>(row, row + found.num_columns);
    row += found.num_columns;
  }
}

// The `beam` likeliest of what all paths may say next, likeliest first.
std::vector<TransducerSearch::Extension> TransducerSearch::extensions(const std::vector<Path>& paths,
                                                                      const float* encoded,
                                                                      std::size_t width) {
  const std::size_t num_rows = paths.size(), beam = static_cast<std::size_t>(settings_.beam);
  std::vector<float> steps, predicted;
  for (const Path& path : paths) {
    steps.insert(steps.end(), encoded, encoded + width);
    predicted.insert(predicted.end(), path.predicted->begin(), path.predicted->end());
  }
  const FloatRows said = model_->join({steps.data(), num_rows, width},
                                      {predicted.data(), num_rows, predicted.size() / num_rows});
  if (said.num_columns != static_cast<std::size_t>(settings_.num_tokens))
    throw Error(ErrorKind::kModelFile, "the joiner gives log-probabilities of " +
                                           std::to_string(said.num_columns) + " tokens, the model has " +
                                           std::to_string(settings_.num_tokens) + "; export it again");
  const LogProbs log_probs{said.data, num_rows, said.num_columns};
  check_log_probs(log_probs, settings_.blank_id);
  std::vector<Extension> all;
  std::vector<int> tokens;
  for (std::size_t path = 0; path < num_rows; ++path) {
    top_tokens(log_probs.frame(path), log_probs.num_tokens, beam, &tokens);
    for (const int token : tokens) {
      const double log_prob = static_cast<double>(log_probs.frame(path)[token]);
      if (std::isfinite(log_prob)) all.push_back({path, token, paths[path].score + log_prob});
    }
  }
  sort_likeliest_first(&all);
  keep_first(beam, &all);
  return all;
}

TransducerSearch::Path TransducerSearch::extended(const Path& path, const Extension& by) const {
  Path longer{path.tokens, path.steps, by.score, path.predicted};
  if (by.token == settings_.blank_id) return longer;
  longer.tokens.push_back(by.token);
  longer.steps.push_back(num_heard_);
  longer.predicted = nullptr;
  return longer;
}

void TransducerSearch::rank() {
  num_steps_ = num_heard_;
  ranked_.clear();
  for (const Path& path : beam_) ranked_.push_back({path.tokens, path.steps, path.score});
  const auto per_token = [](const Hypothesis& one) {
    return one.score / static_cast<double>(one.tokens.size() + Transducer::kContextTokens);
  };
  std::stable_sort(ranked_.begin(), ranked_.end(),
                   [&](const Hypothesis& a, const Hypothesis& b) { return per_token(a) > per_token(b); });
  best_ = ranked_.front();
}

std::vector<Hypothesis> TransducerSearch::hypotheses(std::size_t n) const {
  std::vector<Hypothesis> found;
  for (const Hypothesis& one : ranked_)
    if (found.size() < n && (one.steps.empty() || one.steps.back() < num_steps_)) found.push_back(one);
  if (found.empty()) found.push_back(best_);
  return found;
}

void TransducerSearch::truncate(int64_t num_steps) {
  num_steps_ = num_steps;
  while (!best_.steps.empty() && best_.steps.back() >= num_steps) {
    best_.steps.pop_back();
    best_.tokens.pop_back();
  }
}

std::string TransducerSearch::save() const {
  StateWriter writer(kStateTag);
  for (const int setting : {settings_.blank_id, settings_.num_tokens, settings_.beam, settings_.max_symbols})
    writer.put(setting);
  writer.put(num_heard_);
  writer.put(static_cast<uint64_t>(beam_.size()));
  for (const Path& path : beam_) {
    writer.put_all(path.tokens);
    writer.put_all(path.steps);
    writer.put(path.score);
  }
  return writer.bytes();
}

void TransducerSearch::restore(const std::string& saved) {
  StateReader reader(kStateTag, saved);
  for (const int setting : {settings_.blank_id, settings_.num_tokens, settings_.beam, settings_.max_symbols})
    if (reader.get<int>() != setting)
      throw Error(ErrorKind::kInput,
                  "saved search state of other settings; restore it into a search of the same tokens, beam "
                  "and symbols a step");
  TransducerSearch restored(model_, settings_);
  restored.num_heard_ = reader.get<int64_t>();
  restored.beam_.clear();
  for (uint64_t left = reader.get<uint64_t>(); left > 0; --left) {
    std::vector<int> tokens = reader.get_all<int>();
    std::vector<int64_t> steps = reader.get_all<int64_t>();
    restored.beam_.push_back({std::move(tokens), std::move(steps), reader.get<double>(), nullptr});
  }
  reader.finish();
  if (!restored.is_consistent()) throw Error(ErrorKind::kInput, "saved search state is damaged");
  restored.rank();
  *this = std::move(restored);
}

// Whether steps could have given this: tokens that are some, each with a step, in order, and scores that are
// numbers.
bool TransducerSearch::is_consistent() const {
  if (beam_.empty() || beam_.size() > static_cast<std::size_t>(settings_.beam) || num_heard_ < 0 ||
      num_heard_ > kMostSteps)
    return false;
  return std::all_of(beam_.begin(), beam_.end(), [&](const Path& path) {
    const auto is_token = [&](int id) {
      return id >= 0 && id < settings_.num_tokens && id != settings_.blank_id;
    };
    const bool are_in_order =
        std::is_sorted(path.steps.begin(), path.steps.end()) &&
        (path.steps.empty() || (path.steps.front() >= 0 && path.steps.back() < num_heard_));
    return path.tokens.size() == path.steps.size() && are_in_order && std::isfinite(path.score) &&
           std::all_of(path.tokens.begin(), path.tokens.end(), is_token);
  });
}

}  // namespace halfbyte
