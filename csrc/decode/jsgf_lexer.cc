#include "decode/jsgf_lexer.h"

#include <algorithm>
#include <cctype>
#include <utility>

#include "error.h"

namespace halfbyte {
namespace {

constexpr char kSymbols[] = ";=|*+()[]";
constexpr char kEndsWord[] = ";=|*+<>()[]{}/\" \t\n\v\f\r";

class Lexer {
 public:
  explicit Lexer(const GrammarSource& source) : name_(source.name), text_(source.text) {}

  std::vector<JsgfToken> run() {
    until("\n");
    while (at_ < text_.size()) next();
    add(JsgfToken::Kind::kEnd, "the end of the file");
    return std::move(tokens_);
  }

 private:
  void next() {
    const char c = text_[at_];
    if (std::isspace(static_cast<unsigned char>(c)) != 0) {
      line_ += c == '\n';
      ++at_;
    } else if (starts("//")) {
      until("\n");
    } else if (starts("/*")) {
      closed("*/", "the comment");
    } else if (c == '{') {
      tag();
    } else if (c == '<') {
      add(JsgfToken::Kind::kRule, stripped(closed(">", "the name of a rule")));
    } else if (c == '/') {
      add(JsgfToken::Kind::kWeight, stripped(closed("/", "the weight")));
    } else if (c == '"') {
      quoted();
    } else if (std::string(kSymbols).find(c) != std::string::npos) {
      add(JsgfToken::Kind::kSymbol, std::string(1, c));
      ++at_;
    } else {
      const std::size_t end = std::min(text_.find_first_of(kEndsWord, at_), text_.size());
      if (end == at_) refuse_grammar(name_, line_, std::string("'") + c + "' has no place here");
      add(JsgfToken::Kind::kWord, text_.substr(at_, end - at_));
      at_ = end;
    }
  }

  // Words in quotation marks are words.
  void quoted() {
    std::string word;
    for (const char c : closed("\"", "the quotation") + " ") {
      if (std::isspace(static_cast<unsigned char>(c)) == 0) {
        word.push_back(c);
      } else if (!word.empty()) {
        add(JsgfToken::Kind::kWord, std::exchange(word, ""));
      }
    }
  }

  // A tag may hold an escaped brace.
  void tag() {
    const int line = line_;
    for (++at_; at_ < text_.size() && text_[at_] != '}'; ++at_) {
      if (text_[at_] == '\\') ++at_;
      if (at_ < text_.size()) line_ += text_[at_] == '\n';
    }
    if (at_ >= text_.size()) refuse_grammar(name_, line, "the tag has no end; expected }");
    ++at_;
  }

  bool starts(const char* text) const {
    return text_.compare(at_, std::char_traits<char>::length(text), text) == 0;
  }

  // Skips up to `end`, or all.
  void until(const char* end) { at_ = std::min(text_.find(end, at_), text_.size()); }

  // What stands between the opening at hand and its end, in one line unless it is a comment.
  std::string closed(const std::string& end, const std::string& what) {
    const std::size_t begin = at_ + end.size();
    const std::size_t found = text_.find(end, begin);
    const std::string inside = text_.substr(std::min(begin, text_.size()), found - begin);
    const auto num_lines = static_cast<int>(std::count(inside.begin(), inside.end(), '\n'));
    if (found == std::string::npos || (num_lines > 0 && end.size() == 1))
      refuse_grammar(name_, line_, what + " has no end; expected " + end);
    line_ += num_lines;
    at_ = found + end.size();
    return inside;
  }

  static std::string stripped(const std::string& text) {
    const std::size_t begin = text.find_first_not_of(" \t\r");
    return begin == std::string::npos ? "" : text.substr(begin, text.find_last_not_of(" \t\r") - begin + 1);
  }

  void add(JsgfToken::Kind kind, std::string text) { tokens_.push_back({kind, std::move(text), line_}); }

  const std::string& name_;
  const std::string& text_;
  std::size_t at_ = 0;
  int line_ = 1;
  std::vector<JsgfToken> tokens_;
};

}  // namespace

void refuse_grammar(const std::string& name, int line, const std::string& problem) {
  throw Error(ErrorKind::kUsage, name + ":" + std::to_string(line) + ": " + problem);
}

std::vector<JsgfToken> jsgf_tokens(const GrammarSource& source) { return Lexer(source).run(); }

}  // namespace halfbyte
