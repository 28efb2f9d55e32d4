// The header of a WAV file, and how its samples are coded.
#pragma once
#include <cstdint>
#include <istream>
#include <optional>
#include <string>

namespace halfbyte {

struct WavFormat {
  int sample_rate_hz = 0;
  int num_channels = 0;
  int bytes_per_sample = 0;                    // of one channel
  double (*decode)(const uint8_t*) = nullptr;  // little-endian code -> value, full scale at 1
  std::optional<uint64_t> num_data_bytes;      // as declared; none if the writer did not know

  int bytes_per_frame() const { return num_channels * bytes_per_sample; }
};

// Reads up to the first byte of audio. `name` is put into messages.
// Throws Error(kAudio) for what is not a WAV file that we can read.
WavFormat read_wav_header(std::istream& stream, const std::string& name);

}  // namespace halfbyte
