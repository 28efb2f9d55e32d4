// Saved states of whole streams, as seeds.py packs them: refused, or a stream that goes on, saves and ends.
// Checksums within are mended, so that what lies behind them is reached.
#include <algorithm>
#include <cstring>
#include <memory>
#include <string>

#include "error.h"
#include "graph/crc32.h"
#include "listen/engine_model.h"
#include "listen/stream.h"
#include "noise.h"

namespace {

using namespace halfbyte;

constexpr std::size_t kStateChecksum = 8, kStateContent = 12;  // places in the saved state of a graph

// The next number or bytes of an input; zeros after its end.
struct Input {
  const std::uint8_t* data;
  std::size_t size;

  template <class T>
  T number() {
    T value{};
    const std::size_t count = std::min(size, sizeof value);
    std::memcpy(&value, data, count);
    data += count;
    size -= count;
    return value;
  }
  std::string bytes(std::size_t count) {
    count = std::min(count, size);
    std::string taken(reinterpret_cast<const char*>(data), count);
    data += count;
    size -= count;
    return taken;
  }
};

void mend_checksum(std::string* part) {
  if (part->size() < kStateContent || part->compare(0, 8, "HBSTATE1") != 0) return;
  const std::uint32_t checksum = crc32(part->data() + kStateContent, part->size() - kStateContent);
  std::memcpy(&(*part)[kStateChecksum], &checksum, sizeof checksum);
}

StreamOptions options_of(std::uint8_t choice) {
  static const char* const modes[] = {"greedy", "prefix_beam", "rescoring", "attention"};
  StreamOptions options;
  options.mode = modes[choice % 4];
  options.chunk_ms = choice & 4 ? 0 : 120;
  options.sample_rate_hz = choice & 8 ? 44100 : 16000;
  options.num_best = 3;
  return options;
}

void go_on(Stream& stream) {
  static const std::vector<float> samples = noise(12000);
  stream.samples_due();
  if (stream.save().is_finished) return;
  stream.accept(samples.data(), samples.size());
  stream.restore(stream.save());
  stream.finish();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const auto model = std::make_shared<EngineModel>(Model::open(GOLDEN_MODEL));
  Input input{data, size};
  Stream stream(model, options_of(input.number<std::uint8_t>()));
  StreamSnapshot saved{input.number<std::int64_t>(),
                       input.number<std::int64_t>(),
                       (input.number<std::uint8_t>() & 1) != 0,
                       {}};
  for (int left = input.number<std::uint8_t>() % 32; left > 0; --left) {
    saved.parts.push_back(input.bytes(input.number<std::uint32_t>()));
    mend_checksum(&saved.parts.back());
  }
  try {
    stream.restore(saved);
    go_on(stream);
  } catch (const Error&) {
  }
  return 0;
}
