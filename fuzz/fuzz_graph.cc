// The graph section of a model file whose other parts are right.
#include "memory_file.h"
#include "model_bytes.h"
#include "run_model.h"

namespace {

constexpr std::size_t kWeightsBytes = 16384;

// Small numbers in every type.
Bytes weights() {
  Bytes bytes(kWeightsBytes);
  for (std::size_t i = 0; i < kWeightsBytes; i += 8) bytes[i] = i % 5;
  return bytes;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Bytes graph(data, data + size);
  const auto file = model_of({{"meta", {'{', '}'}}, {"graph:g", graph}, {"weights", weights()}});
  run_model(MemoryFile(file.data(), file.size()).path());
  return 0;
}
