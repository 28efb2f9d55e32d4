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
  // `channel`: the one to read, counted from 1; none to average them.
  // Throws Error(kAudio) for a file that is missing, empty, damaged, or of a coding or without the
  // channel that is asked for.
  explicit WavReader(const std::filesystem::path& path, std::optional<int> channel = std::nullopt);

  int sample_rate_hz() const { return format_.sample_rate_hz; }
  int num_channels() const { return format_.num_channels; }
  // Samples of the whole file, per channel; none for a pipe whose writer did not say.
  std::optional<uint64_t> num_samples() const { return num_samples_; }

  // The next `max_samples` mono samples, or fewer at the end, or none after it.
  // Throws Error(kAudio) on NaN or infinity.
  std::vector<float> read(size_t max_samples);

  // Leave out the next so many samples, or all that follow where there are fewer.
  void skip(uint64_t num_samples);

  // Energy of what was read over the mean energy of its channels: 1 for one channel, 0 where
  // channels cancel each other.
  double mix_share() const { return channel_energy_ > 0 ? mix_energy_ / channel_energy_ : 1.0; }

  // After read() has given none: samples per channel that the header promises and the file lacks;
  // 0 where the writer did not say.
  uint64_t num_missing_samples() const;
  // The path, printable.
  const std::string& name() const { return name_; }

 private:
  void find_num_samples(const std::filesystem::path& path);
  size_t read_block(size_t max_frames);
  double mix_frame(const uint8_t* code);

  std::string name_;  // for messages
  std::ifstream file_;
  WavFormat format_;
  std::optional<uint64_t> num_samples_;
  std::optional<int> channel_;
  bool is_regular_ = false;  // so that one can go forward in it at once
  uint64_t num_read_samples_ = 0;
  double mix_energy_ = 0.0, channel_energy_ = 0.0;
  std::vector<uint8_t> block_;
};

}  // namespace halfbyte
