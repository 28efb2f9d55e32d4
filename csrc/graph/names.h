#pragma once
#include <string>

namespace halfbyte {

// Whether a name may appear in a one-line message: valid UTF-8 without control characters.
bool is_printable(const std::string& text);

}  // namespace halfbyte
