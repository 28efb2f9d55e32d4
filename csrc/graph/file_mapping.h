// A file as read-only memory: its pages are those of the system's file cache, one copy for all processes.
#pragma once
#include <cstdint>
#include <string>

namespace halfbyte {

class FileMapping {
 public:
  // `path` is UTF-8. Throws kModelFile, with the path, where there is no regular file or it cannot be mapped.
  explicit FileMapping(const std::string& path);
  ~FileMapping();
  FileMapping(const FileMapping&) = delete;
  FileMapping& operator=(const FileMapping&) = delete;

  const std::uint8_t* bytes() const { return bytes_; }  // nullptr for an empty file
  std::uint64_t num_bytes() const { return num_bytes_; }

 private:
  const std::uint8_t* bytes_ = nullptr;
  std::uint64_t num_bytes_ = 0;
};

}  // namespace halfbyte
