#include "listen/words.h"

#include <algorithm>
#include <cmath>

#include "decode/spelling.h"

namespace halfbyte {
namespace {

constexpr std::size_t kWordStartBytes = sizeof kWordStart - 1;
constexpr char kSpaces[] = " \t\n\v\f\r";

bool starts_word(const std::string& token) { return token.compare(0, kWordStartBytes, kWordStart) == 0; }

Word word_of(const AlignedToken* begin, const AlignedToken* end, const std::vector<std::string>& tokens,
             int64_t step_ms, int64_t offset_ms, int64_t end_before_ms) {
  std::vector<int> ids;
  double confidence = 0;
  const AlignedToken* first = nullptr;  // with text
  for (const AlignedToken* token = begin; token != end; ++token) {
    ids.push_back(token->token);
    confidence += static_cast<double>(token->confidence);
    if (first == nullptr && has_text(token->token, tokens)) first = token;
  }
  if (first == nullptr) first = begin;
  const int64_t told_ms = offset_ms + std::llround(first->mean_frame * static_cast<double>(step_ms));
  return {text_of(ids, tokens), std::max(told_ms - step_ms, std::min(told_ms, end_before_ms)),
          offset_ms + end[-1].end_frame * step_ms, confidence / static_cast<double>(end - begin)};
}

}  // namespace

std::string text_of(const std::vector<int>& ids, const std::vector<std::string>& tokens) {
  std::string joined;
  for (const int id : ids) joined += tokens[static_cast<std::size_t>(id)];
  std::string text;
  for (std::size_t at = 0; at < joined.size();) {
    if (joined.compare(at, kWordStartBytes, kWordStart) == 0) {
      text.push_back(' ');
      at += kWordStartBytes;
    } else {
      text.push_back(joined[at++]);
    }
  }
  const std::size_t begin = text.find_first_not_of(kSpaces);
  if (begin == std::string::npos) return "";
  return text.substr(begin, text.find_last_not_of(kSpaces) - begin + 1);
}

bool has_text(int id, const std::vector<std::string>& tokens) { return !text_of({id}, tokens).empty(); }

std::vector<Word> words_of(const std::vector<AlignedToken>& timed, const std::vector<std::string>& tokens,
                           int64_t step_ms, int64_t offset_ms) {
  std::vector<Word> words;
  for (std::size_t begin = 0, end = 0; begin < timed.size(); begin = end) {
    end = begin + 1;
    while (end < timed.size() && !starts_word(tokens[static_cast<std::size_t>(timed[end].token)])) ++end;
    const int64_t end_before_ms = words.empty() ? offset_ms : words.back().end_ms;
    Word word = word_of(&timed[begin], timed.data() + end, tokens, step_ms, offset_ms, end_before_ms);
    if (!word.text.empty()) words.push_back(std::move(word));
  }
  return words;
}

}  // namespace halfbyte
