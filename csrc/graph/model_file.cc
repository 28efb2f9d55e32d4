#include "graph/model_file.h"

#include <cstring>

#include "error.h"
#include "graph/crc32.h"
#include "graph/names.h"

namespace halfbyte {
namespace {

constexpr std::uint64_t kHeaderBytes = 64;
constexpr std::uint64_t kEntryBytes = 64;
constexpr std::uint64_t kNameBytes = 40;
constexpr std::uint64_t kAlignmentBytes = 64;
constexpr std::uint32_t kVersion = 2;
constexpr std::uint32_t kMaxSections = 64;
constexpr char kMagic[] = "HALFBYTE";

}  // namespace

ModelFile::ModelFile(const std::string& path)
    : path_(path), mapping_(path), bytes_(mapping_.bytes()), num_bytes_(mapping_.num_bytes()) {
  if (num_bytes_ < kHeaderBytes)
    fail("has " + std::to_string(num_bytes_) + " bytes, fewer than a header; give a .hb file");
  read_header();
}

void ModelFile::fail(const std::string& problem) const {
  throw Error(ErrorKind::kModelFile, path_ + ": " + problem);
}

template <class T>
T ModelFile::number_at(std::uint64_t offset) const {
  T value;
  std::memcpy(&value, bytes_ + offset, sizeof(T));
  return value;
}

void ModelFile::read_header() {
  if (std::memcmp(bytes_, kMagic, 8) != 0)
    fail("is not a model file (it does not start with HALFBYTE); give a .hb file");
  const auto version = number_at<std::uint32_t>(8);
  if (version != kVersion)
    fail(
        "has format version " + std::to_string(version) + ", this halfbyte reads version " +
        std::to_string(kVersion) +
        "; compile it anew with this version, from its checkpoint by halfbyte export, then halfbyte compile");
  if (number_at<std::uint32_t>(60) != crc32(bytes_, 60))
    fail("has a damaged header; fetch or compile it again");
  const auto stated_bytes = number_at<std::uint64_t>(16);
  if (stated_bytes != num_bytes_)
    fail("has " + std::to_string(num_bytes_) + " bytes, its header says " + std::to_string(stated_bytes) +
         "; fetch it again");
  for (int i = 28; i < 60; ++i)
    if (bytes_[i] != 0) fail("has a damaged header; fetch or compile it again");
  read_directory(number_at<std::uint32_t>(12));
}

void ModelFile::read_directory(std::uint32_t num_sections) {
  if (num_sections < 1 || num_sections > kMaxSections)
    fail("has " + std::to_string(num_sections) + " sections, expected 1 to 64");
  std::uint64_t end = kHeaderBytes + kEntryBytes * num_sections;
  if (end > num_bytes_) fail("ends inside its directory; fetch it again");
  if (crc32(bytes_ + kHeaderBytes, end - kHeaderBytes) != number_at<std::uint32_t>(24))
    fail("has a damaged directory; fetch or compile it again");
  for (std::uint32_t i = 0; i < num_sections; ++i) {
    const std::uint64_t at = kHeaderBytes + kEntryBytes * i;
    const char* name = reinterpret_cast<const char*>(bytes_ + at);
    Section section{std::string(name, ::strnlen(name, kNameBytes)), nullptr,
                    number_at<std::uint64_t>(at + 48)};
    const auto offset = number_at<std::uint64_t>(at + 40);
    if (section.name.empty() || !is_printable(section.name) || find(section.name) != nullptr)
      fail("has a section without a proper name, or two of one name");
    if (offset % kAlignmentBytes != 0 || offset < end || offset > num_bytes_ ||
        section.num_bytes > num_bytes_ - offset)
      fail("section '" + section.name + "' lies outside the file or over another section");
    check_gap(end, offset);
    section.bytes = bytes_ + offset;
    if (crc32(section.bytes, section.num_bytes) != number_at<std::uint32_t>(at + 56))
      fail("section '" + section.name + "' is damaged; fetch or compile the file again");
    sections_.push_back(section);
    end = offset + section.num_bytes;
  }
  check_gap(end, num_bytes_);
}

void ModelFile::check_gap(std::uint64_t begin, std::uint64_t end) const {
  if (end - begin >= kAlignmentBytes) fail("has unused bytes between sections");
  for (std::uint64_t at = begin; at < end; ++at)
    if (bytes_[at] != 0) fail("has padding that is not zero; fetch or compile it again");
}

std::string ModelFile::fingerprint() const {
  return std::to_string(number_at<std::uint32_t>(24)) + "-" + std::to_string(num_bytes_);
}

const Section* ModelFile::find(const std::string& name) const {
  for (const Section& section : sections_)
    if (section.name == name) return &section;
  return nullptr;
}

}  // namespace halfbyte
