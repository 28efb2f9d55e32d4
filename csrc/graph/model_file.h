// The container of docs/model-file.md: header, directory, sections.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "graph/file_mapping.h"

namespace halfbyte {

struct Section {
  std::string name;
  const std::uint8_t* bytes;  // in the mapping, 64-byte aligned
  std::uint64_t num_bytes;
};

// A mapped model file whose checksums all hold. Immutable; any number of threads may read it.
class ModelFile {
 public:
  // Throws kModelFile, with the path, if the file is missing, damaged or of another version.
  explicit ModelFile(const std::string& path);
  ModelFile(const ModelFile&) = delete;
  ModelFile& operator=(const ModelFile&) = delete;

  const std::string& path() const { return path_; }
  std::uint64_t num_bytes() const { return num_bytes_; }
  const std::vector<Section>& sections() const { return sections_; }
  // Differs from that of any other file whose sections differ: made of their checksums.
  std::string fingerprint() const;
  // nullptr if there is no such section.
  const Section* find(const std::string& name) const;

 private:
  void read_header();
  void read_directory(std::uint32_t num_sections);
  void check_gap(std::uint64_t begin, std::uint64_t end) const;
  [[noreturn]] void fail(const std::string& problem) const;
  template <class T>
  T number_at(std::uint64_t offset) const;

  std::string path_;
  FileMapping mapping_;
  const std::uint8_t* bytes_;
  std::uint64_t num_bytes_;
  std::vector<Section> sections_;
};

}  // namespace halfbyte
