// Whole model files: as they are, and once more with checksums that hold, so that what lies behind
// the checksums is reached.
#include <algorithm>
#include <cstring>
#include <vector>

#include "graph/crc32.h"
#include "memory_file.h"
#include "run_model.h"

namespace {

constexpr std::size_t kHeaderBytes = 64, kEntryBytes = 64, kMaxSections = 64;

template <class T>
T number_at(const std::vector<std::uint8_t>& file, std::size_t at) {
  T value;
  std::memcpy(&value, &file[at], sizeof(T));
  return value;
}

void put(std::vector<std::uint8_t>& file, std::size_t at, std::uint32_t value) {
  std::memcpy(&file[at], &value, sizeof value);
}

void mend_checksums(std::vector<std::uint8_t>& file) {
  if (file.size() < kHeaderBytes) return;
  const std::uint64_t num_bytes = file.size();
  std::memcpy(&file[16], &num_bytes, sizeof num_bytes);
  const std::size_t fitting = (file.size() - kHeaderBytes) / kEntryBytes;
  const std::size_t count =
      std::min<std::size_t>({number_at<std::uint32_t>(file, 12), kMaxSections, fitting});
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t entry = kHeaderBytes + i * kEntryBytes;
    const auto offset = number_at<std::uint64_t>(file, entry + 40);
    const auto size = number_at<std::uint64_t>(file, entry + 48);
    if (offset > file.size() || size > file.size() - offset) continue;
    put(file, entry + 56, halfbyte::crc32(file.data() + offset, size));
  }
  put(file, 24, halfbyte::crc32(file.data() + kHeaderBytes, count * kEntryBytes));
  put(file, 60, halfbyte::crc32(file.data(), 60));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::vector<std::uint8_t> file(data, data + size);
  run_model(MemoryFile(file.data(), file.size()).path());
  mend_checksums(file);
  run_model(MemoryFile(file.data(), file.size()).path());
  return 0;
}
