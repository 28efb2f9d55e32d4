// WAV files, read to their end and through the front end.
#include "audio/fbank.h"
#include "audio/resampler.h"
#include "audio/wav.h"
#include "error.h"
#include "memory_file.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace halfbyte;
  const MemoryFile file(data, size);
  try {
    WavReader reader(file.path());
    Resampler resampler(reader.sample_rate_hz(), 16000);
    static const Fbank fresh;  // its tables take longer than a run
    Fbank fbank = fresh;
    constexpr std::size_t kBlockSamples = 1000, kMaxReady = 100000;
    for (;;) {
      const auto block = reader.read(kBlockSamples);
      if (block.empty() || fbank.num_frames_ready() > kMaxReady) break;
      const auto samples = resampler.accept(block.data(), block.size());
      fbank.accept(samples.data(), samples.size());
      fbank.pop(fbank.num_frames_ready());
    }
    reader.num_missing_samples();
    resampler.finish();
  } catch (const Error&) {
  }
  return 0;
}
