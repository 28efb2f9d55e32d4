// Reading WAV files of any length in constant memory.
#pragma once
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <vector>

#include "audio/wav_format.h"

namespace halfbyte {

// PCM of 8 to 32 bits, float of 32 and 64, mu-law, A-law; RIFF, RF64 and extensible headers; a
// regular file or a pipe. Channels are averaged. Sizes in the header are checked against the file:
// where they are 0 or about 2 or 4 GiB (as streaming writers leave them) or beyond its end, audio
// goes to its end.
class WavReader {
 public:
  // Throws Error(kAudio) for a file that is missing, empty, damaged, or of a coding we lack.
  explicit WavReader(const std::filesystem::path& path);

  int sample_rate_hz() const { return format_.sample_rate_hz; }
  int num_channels() const { return format_.num_channels; }
  // Samples of the whole file, per channel; none for a pipe whose writer did not say.
  std::optional<uint64_t> num_samples() const { return num_samples_; }

  // The next `max_samples` mono samples, or fewer at the end, or none after it.
  // Throws Error(kAudio) on NaN or infinity.
  std::vector<float> read(size_t max_samples);

  // After read() has given none: samples per channel that the header promises and the file lacks;
  // 0 where the writer did not say.
  uint64_t num_missing_samples() const;
  // The path, printable.
  const std::string& name() const { return name_; }

 private:
  void find_num_samples(const std::filesystem::path& path);
  size_t read_block(size_t max_frames);

  std::string name_;  // for messages
  std::ifstream file_;
  WavFormat format_;
  std::optional<uint64_t> num_samples_;
  uint64_t num_read_samples_ = 0;
  std::vector<uint8_t> block_;
};

}  // namespace halfbyte
