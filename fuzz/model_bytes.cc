#include "model_bytes.h"

#include <cstring>

#include "graph/crc32.h"

namespace {

constexpr std::size_t kHeaderBytes = 64, kEntryBytes = 64, kNameBytes = 40;

std::size_t aligned(std::size_t at) { return (at + 63) / 64 * 64; }

template <class T>
void put(Bytes* file, std::size_t at, T value) {
  std::memcpy(file->data() + at, &value, sizeof value);
}

template <class T>
T number_at(const Bytes& file, std::size_t at) {
  T value;
  std::memcpy(&value, file.data() + at, sizeof value);
  return value;
}

}  // namespace

Bytes model_of(const std::vector<std::pair<std::string, Bytes>>& sections) {
  const std::size_t directory_bytes = kEntryBytes * sections.size();
  Bytes file(kHeaderBytes + directory_bytes);
  for (std::size_t i = 0; i < sections.size(); ++i) {
    const auto& [name, content] = sections[i];
    const std::size_t offset = aligned(file.size()), entry = kHeaderBytes + kEntryBytes * i;
    std::memcpy(file.data() + entry, name.data(), name.size());
    put<std::uint64_t>(&file, entry + 40, offset);
    put<std::uint64_t>(&file, entry + 48, content.size());
    put(&file, entry + 56, halfbyte::crc32(content.data(), content.size()));
    file.resize(offset);
    file.insert(file.end(), content.begin(), content.end());
  }
  std::memcpy(file.data(), "HALFBYTE", 8);
  put<std::uint32_t>(&file, 8, 2);
  put<std::uint32_t>(&file, 12, static_cast<std::uint32_t>(sections.size()));
  put<std::uint64_t>(&file, 16, file.size());
  put(&file, 24, halfbyte::crc32(file.data() + kHeaderBytes, directory_bytes));
  put(&file, 60, halfbyte::crc32(file.data(), 60));
  return file;
}

Bytes with_section(const Bytes& file, const std::string& name, const Bytes& content) {
  std::vector<std::pair<std::string, Bytes>> sections;
  for (std::uint32_t i = 0; i < number_at<std::uint32_t>(file, 12); ++i) {
    const std::size_t entry = kHeaderBytes + kEntryBytes * i;
    const char* text = reinterpret_cast<const char*>(file.data() + entry);
    const auto begin = file.begin() + number_at<std::int64_t>(file, entry + 40);
    const auto size = number_at<std::int64_t>(file, entry + 48);
    sections.emplace_back(std::string(text, strnlen(text, kNameBytes)), Bytes(begin, begin + size));
    if (sections.back().first == name) sections.back().second = content;
  }
  return model_of(sections);
}
