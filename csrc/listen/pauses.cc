#include "listen/pauses.h"

#include <algorithm>

namespace halfbyte {
namespace {

constexpr float kLouder = 2.5f;     // natural logarithm of energy
constexpr float kUnlikely = 20.0f;  // added cost of a token in a pause, natural logarithm

std::vector<bool> loud_steps(const std::vector<float>& levels) {
  std::vector<float> sorted = levels;
  const auto tenth = sorted.begin() + static_cast<std::ptrdiff_t>((levels.size() - 1) / 10);
  std::nth_element(sorted.begin(), tenth, sorted.end());
  std::vector<bool> loud;
  for (const float level : levels) loud.push_back(level > *tenth + kLouder);
  return loud;
}

}  // namespace

std::vector<float> levels_of(const FloatRows& window, std::size_t num_steps, std::size_t frames_per_step) {
  std::vector<float> levels;
  for (std::size_t step = 0; step < num_steps; ++step) {
    const float* first = window.data + step * frames_per_step * window.num_columns;
    levels.push_back(*std::max_element(first, first + frames_per_step * window.num_columns));
  }
  return levels;
}

std::vector<float> without_pauses(std::vector<float> log_probs, const std::vector<float>& levels,
                                  int blank_id) {
  const std::size_t num_steps = levels.size();
  if (num_steps == 0) return log_probs;
  const std::vector<bool> loud = loud_steps(levels);
  if (std::find(loud.begin(), loud.end(), true) == loud.end()) return log_probs;
  const std::size_t num_tokens = log_probs.size() / num_steps;
  for (std::size_t step = 0; step < num_steps; ++step) {
    if (loud[step] || (step > 0 && loud[step - 1]) || (step + 1 < num_steps && loud[step + 1])) continue;
    float* row = log_probs.data() + step * num_tokens;
    for (std::size_t token = 0; token < num_tokens; ++token) row[token] -= kUnlikely;
    row[blank_id] = 0.0f;
  }
  return log_probs;
}

}  // namespace halfbyte
