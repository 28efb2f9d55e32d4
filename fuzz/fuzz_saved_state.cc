// Saved states of a stream's parts: restored or refused, and used afterwards.
#include <string>
#include <vector>

#include "audio/fbank.h"
#include "audio/resampler.h"
#include "decode/ctc_greedy.h"
#include "decode/ctc_prefix_beam.h"
#include "error.h"

namespace {

using namespace halfbyte;

template <class Part, class Use>
void restore_and_use(Part part, const std::string& saved, Use use) {
  try {
    part.restore(saved);
    use(part);
    part.restore(part.save());
  } catch (const Error&) {
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string saved(reinterpret_cast<const char*>(data) + 1, size - 1);
  const std::vector<float> samples(800, 0.5f);
  const std::vector<float> log_probs = {-0.1f, -3.0f, -4.0f, -2.0f, -0.2f, -3.0f};
  const auto hear = [&](auto& part) { part.accept(samples.data(), samples.size()); };
  const auto search = [&](auto& part) { part.accept({log_probs.data(), 2, 3}); };
  static const Fbank fbank;  // their tables take longer than a run
  static const Resampler resampler(44100, 16000);
  switch (data[0] % 4) {
    case 0:
      restore_and_use(fbank, saved, hear);
      break;
    case 1:
      restore_and_use(resampler, saved, hear);
      break;
    case 2:
      restore_and_use(CtcGreedy(0), saved, search);
      break;
    default:
      restore_and_use(CtcPrefixBeam(0, 4, 3), saved, search);
      break;
  }
  return 0;
}
