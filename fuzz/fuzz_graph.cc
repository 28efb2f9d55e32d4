// The graph section of a model file whose other parts are right.
#include <cstring>
#include <vector>

#include "graph/crc32.h"
#include "memory_file.h"
#include "run_model.h"

namespace {

constexpr std::size_t kWeightsBytes = 16384;

std::size_t aligned(std::size_t at) { return (at + 63) / 64 * 64; }

// "meta", "graph:g" and weights that are small numbers in every type.
std::vector<std::uint8_t> model_around(const std::uint8_t* graph, std::size_t graph_bytes) {
  const std::vector<std::uint8_t> meta = {'{', '}'};
  std::vector<std::uint8_t> weights(kWeightsBytes);
  for (std::size_t i = 0; i < kWeightsBytes; i += 8) weights[i] = i % 5;
  const struct {
    const char* name;
    const std::uint8_t* bytes;
    std::size_t num_bytes;
  } sections[] = {{"meta", meta.data(), meta.size()},
                  {"graph:g", graph, graph_bytes},
                  {"weights", weights.data(), weights.size()}};
  std::vector<std::uint8_t> file(64 + 3 * 64);
  for (std::size_t i = 0; i < 3; ++i) {
    const std::uint64_t offset = aligned(file.size()), num_bytes = sections[i].num_bytes;
    const std::uint32_t checksum = halfbyte::crc32(sections[i].bytes, num_bytes);
    std::uint8_t* entry = &file[64 + 64 * i];
    std::memcpy(entry, sections[i].name, std::strlen(sections[i].name));
    std::memcpy(entry + 40, &offset, 8);
    std::memcpy(entry + 48, &num_bytes, 8);
    std::memcpy(entry + 56, &checksum, 4);
    file.resize(offset);
    file.insert(file.end(), sections[i].bytes, sections[i].bytes + num_bytes);
  }
  const std::uint32_t version = 1, count = 3, directory = halfbyte::crc32(&file[64], 3 * 64);
  const std::uint64_t num_bytes = file.size();
  std::memcpy(&file[0], "HALFBYTE", 8);
  std::memcpy(&file[8], &version, 4);
  std::memcpy(&file[12], &count, 4);
  std::memcpy(&file[16], &num_bytes, 8);
  std::memcpy(&file[24], &directory, 4);
  const std::uint32_t header = halfbyte::crc32(&file[0], 60);
  std::memcpy(&file[60], &header, 4);
  return file;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto file = model_around(data, size);
  run_model(MemoryFile(file.data(), file.size()).path());
  return 0;
}
