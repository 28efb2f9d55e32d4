// Model files put together byte by byte.
#pragma once
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

using Bytes = std::vector<std::uint8_t>;

// A file of these sections, in this order, with right checksums.
Bytes model_of(const std::vector<std::pair<std::string, Bytes>>& sections);
// A valid file with another content of one section.
Bytes with_section(const Bytes& file, const std::string& name, const Bytes& content);
