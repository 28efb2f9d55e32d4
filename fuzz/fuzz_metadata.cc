// The metadata of a model file whose other parts are right: a stream is opened and hears a little.
#include <fstream>
#include <iterator>
#include <memory>
#include <vector>

#include "error.h"
#include "graph/crc32.h"
#include "listen/engine_model.h"
#include "listen/stream.h"
#include "memory_file.h"
#include "model_bytes.h"
#include "noise.h"

namespace {

using namespace halfbyte;

const std::vector<std::uint8_t>& golden_model() {
  static const std::vector<std::uint8_t> bytes = [] {
    std::ifstream file(GOLDEN_MODEL, std::ios::binary);
    return std::vector<std::uint8_t>(std::istreambuf_iterator<char>(file), {});
  }();
  return bytes;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const std::vector<float> samples = noise(12000);
  const auto bytes = with_section(golden_model(), "meta", {data, data + size});
  const MemoryFile file(bytes.data(), bytes.size());
  try {
    Stream stream(std::make_shared<EngineModel>(Model::open(file.path())), {});
    stream.accept(samples.data(), samples.size());
    stream.finish();
  } catch (const Error&) {
  }
  return 0;
}
