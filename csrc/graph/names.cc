#include "graph/names.h"

#include <cstdint>

namespace halfbyte {
namespace {

// Bytes of the UTF-8 sequence that starts with `first`; 0 if none does.
int sequence_bytes(std::uint8_t first) {
  if (first < 0x80) return first >= 0x20 && first != 0x7F ? 1 : 0;
  if (first < 0xC2) return 0;  // a continuation, or an overlong sequence of two
  return first < 0xE0 ? 2 : first < 0xF0 ? 3 : first < 0xF5 ? 4 : 0;
}

// Overlong sequences, surrogates, control characters U+0080..9F and separators U+2028, U+2029 are out.
bool is_allowed(std::uint32_t code, int num_bytes) {
  if (num_bytes == 2) return code >= 0xA0;
  if (num_bytes == 3)
    return code >= 0x800 && (code < 0xD800 || code > 0xDFFF) && code != 0x2028 && code != 0x2029;
  return num_bytes != 4 || (code >= 0x10000 && code <= 0x10FFFF);
}

}  // namespace

bool is_printable(const std::string& text) {
  for (std::size_t at = 0; at < text.size();) {
    const auto first = static_cast<std::uint8_t>(text[at]);
    const int num_bytes = sequence_bytes(first);
    if (num_bytes == 0 || at + num_bytes > text.size()) return false;
    std::uint32_t code = num_bytes == 1 ? first : first & (0x7Fu >> num_bytes);
    for (int i = 1; i < num_bytes; ++i) {
      const auto next = static_cast<std::uint8_t>(text[at + i]);
      if ((next & 0xC0) != 0x80) return false;
      code = code << 6 | (next & 0x3F);
    }
    if (!is_allowed(code, num_bytes)) return false;
    at += num_bytes;
  }
  return true;
}

}  // namespace halfbyte
