#include "listen/json.h"

#include <cstdint>
#include <cstring>
#include <locale>
#include <sstream>
#include <utility>

#include "error.h"

namespace halfbyte {
namespace {

constexpr int kMaxDepth = 64;  // recursion of the parser

// The value of a number that matches JSON's grammar, whatever the process's locale.
double number_of(const std::string& digits) {
  std::istringstream stream(digits);
  stream.imbue(std::locale::classic());
  double value = 0;
  stream >> value;
  return value;
}

void append_utf8(uint32_t code, std::string* out) {
  const auto tail = [&](int shift) { out->push_back(static_cast<char>(0x80 | ((code >> shift) & 63))); };
  if (code < 0x80) {
    out->push_back(static_cast<char>(code));
  } else if (code < 0x800) {
    out->push_back(static_cast<char>(0xC0 | (code >> 6)));
    tail(0);
  } else if (code < 0x10000) {
    out->push_back(static_cast<char>(0xE0 | (code >> 12)));
    tail(6);
    tail(0);
  } else {
    out->push_back(static_cast<char>(0xF0 | (code >> 18)));
    tail(12);
    tail(6);
    tail(0);
  }
}

class Parser {
 public:
  explicit Parser(const std::string& text) : text_(text) {}

  Json document() {
    Json value = parse_value(0);
    skip_space();
    if (at_ != text_.size()) fail();
    return value;
  }

 private:
  [[noreturn]] void fail() const {
    throw Error(ErrorKind::kModelFile, "the model's metadata stops being JSON at byte " +
                                           std::to_string(at_) + " on; compile the model again");
  }
  char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  char next() {
    if (at_ >= text_.size()) fail();
    return text_[at_++];
  }
  void skip_space() {
    while (at_ < text_.size() && std::strchr(" \t\r\n", text_[at_]) && text_[at_] != '\0') ++at_;
  }
  void expect(const char* word) {
    const std::size_t length = std::strlen(word);
    if (text_.compare(at_, length, word) != 0) fail();
    at_ += length;
  }
  // After a value in an array or object: whether another follows.
  bool another(char end) {
    skip_space();
    const char mark = next();
    if (mark != ',' && mark != end) fail();
    return mark == ',';
  }

  Json parse_value(int depth) {
    if (depth > kMaxDepth) fail();
    skip_space();
    Json value;
    switch (peek()) {
      case '{':
        parse_object(depth, &value);
        break;
      case '[':
        parse_array(depth, &value);
        break;
      case '"':
        value.kind = Json::Kind::kString;
        value.string = parse_string();
        break;
      case 't':
        expect("true");
        value.kind = Json::Kind::kBool;
        value.number = 1;
        break;
      case 'f':
        expect("false");
        value.kind = Json::Kind::kBool;
        break;
      case 'n':
        expect("null");
        break;
      default:
        value.kind = Json::Kind::kNumber;
        value.number = parse_number();
    }
    return value;
  }

  void parse_object(int depth, Json* value) {
    value->kind = Json::Kind::kObject;
    expect("{");
    skip_space();
    if (peek() == '}') {
      ++at_;
      return;
    }
    do {
      skip_space();
      std::string name = parse_string();
      skip_space();
      expect(":");
      value->object[std::move(name)] = parse_value(depth + 1);
    } while (another('}'));
  }

  void parse_array(int depth, Json* value) {
    value->kind = Json::Kind::kArray;
    expect("[");
    skip_space();
    if (peek() == ']') {
      ++at_;
      return;
    }
    do value->array.push_back(parse_value(depth + 1));
    while (another(']'));
  }

  std::string parse_string() {
    expect("\"");
    std::string out;
    for (char c = next(); c != '"'; c = next()) {
      if (static_cast<unsigned char>(c) < 0x20) fail();
      if (c == '\\')
        parse_escape(&out);
      else
        out.push_back(c);
    }
    return out;
  }

  void parse_escape(std::string* out) {
    static constexpr char kNames[] = "\"\\/bfnrt";
    static constexpr char kMeanings[] = "\"\\/\b\f\n\r\t";
    const char c = next();
    if (c == 'u') {
      append_utf8(parse_code_point(), out);
      return;
    }
    const char* found = c == '\0' ? nullptr : std::strchr(kNames, c);
    if (found == nullptr) fail();
    out->push_back(kMeanings[found - kNames]);
  }

  // After \u: four digits, or eight and another \u for a surrogate pair.
  uint32_t parse_code_point() {
    const uint32_t first = parse_hex4();
    if (first < 0xD800 || first > 0xDFFF) return first;
    expect("\\u");
    const uint32_t second = parse_hex4();
    if (first > 0xDBFF || second < 0xDC00 || second > 0xDFFF) fail();
    return 0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00);
  }

  uint32_t parse_hex4() {
    uint32_t value = 0;
    for (int i = 0; i < 4; ++i) {
      const char c = next();
      if (c >= '0' && c <= '9')
        value = value * 16 + static_cast<uint32_t>(c - '0');
      else if (c >= 'a' && c <= 'f')
        value = value * 16 + static_cast<uint32_t>(c - 'a' + 10);
      else if (c >= 'A' && c <= 'F')
        value = value * 16 + static_cast<uint32_t>(c - 'A' + 10);
      else
        fail();
    }
    return value;
  }

  std::size_t digits() {
    const std::size_t begin = at_;
    while (peek() >= '0' && peek() <= '9') ++at_;
    if (at_ == begin) fail();
    return at_ - begin;
  }

  double parse_number() {
    const std::size_t begin = at_;
    if (peek() == '-') ++at_;
    if (peek() == '0')
      ++at_;
    else
      digits();
    if (peek() == '.') {
      ++at_;
      digits();
    }
    if (peek() == 'e' || peek() == 'E') {
      ++at_;
      if (peek() == '+' || peek() == '-') ++at_;
      digits();
    }
    return number_of(text_.substr(begin, at_ - begin));
  }

  const std::string& text_;
  std::size_t at_ = 0;
};

}  // namespace

Json Json::parse(const std::string& text) { return Parser(text).document(); }

const Json* Json::find(const std::string& name) const {
  const auto found = object.find(name);
  return found == object.end() ? nullptr : &found->second;
}

}  // namespace halfbyte
