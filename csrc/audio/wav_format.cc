// Sources: RIFF/WAVE (IBM and Microsoft 1991), WAVE_FORMAT_EXTENSIBLE (mmreg.h), RF64 (EBU Tech
// 3306), mu-law and A-law (ITU-T G.711).
#include "audio/wav_format.h"

#include <cstring>
#include <limits>
#include <vector>

#include "error.h"

namespace halfbyte {
namespace {

constexpr int kMaxChannels = 64;
constexpr uint32_t kMaxSampleRateHz = 768000;
constexpr uint32_t kMaxFormatBytes = 4096;
constexpr uint32_t kSizeUnknown = 0xFFFFFFFF;
enum Tag : uint16_t { kPcm = 1, kFloat = 3, kALaw = 6, kMuLaw = 7, kExtensible = 0xFFFE };

uint16_t u16(const uint8_t* p) { return static_cast<uint16_t>(p[0] | p[1] << 8); }
uint32_t u32(const uint8_t* p) { return u16(p) | static_cast<uint32_t>(u16(p + 2)) << 16; }
uint64_t u64(const uint8_t* p) { return u32(p) | static_cast<uint64_t>(u32(p + 4)) << 32; }

double decode_u8(const uint8_t* p) { return (p[0] - 128) / 128.0; }
double decode_s16(const uint8_t* p) { return static_cast<int16_t>(u16(p)) / 32768.0; }
double decode_s24(const uint8_t* p) {
  uint32_t shifted = static_cast<uint32_t>(p[0]) << 8 | static_cast<uint32_t>(u16(p + 1)) << 16;
  return static_cast<int32_t>(shifted) / 2147483648.0;
}
double decode_s32(const uint8_t* p) { return static_cast<int32_t>(u32(p)) / 2147483648.0; }
double decode_f32(const uint8_t* p) {
  uint32_t bits = u32(p);
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}
double decode_f64(const uint8_t* p) {
  uint64_t bits = u64(p);
  double value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}
double decode_mu_law(const uint8_t* p) {
  int code = ~p[0] & 0xFF;
  int magnitude = ((((code & 0x0F) << 3) + 0x84) << (code >> 4 & 7)) - 0x84;
  return (code & 0x80 ? -magnitude : magnitude) / 32768.0;
}
double decode_a_law(const uint8_t* p) {
  int code = p[0] ^ 0x55, segment = code >> 4 & 7;
  int magnitude = ((code & 0x0F) << 4) + (segment == 0 ? 8 : 0x108);
  if (segment > 1) magnitude <<= segment - 1;
  return (code & 0x80 ? magnitude : -magnitude) / 32768.0;
}

using Decode = double (*)(const uint8_t*);

// Codes that fill their bytes; PCM of 24 bits also in 4 bytes, the highest bits of them.
Decode decoder_of(uint16_t tag, int bits, int bytes) {
  if (tag == kPcm && bits == 24 && bytes == 4) return decode_s32;
  if (tag == kPcm && bits == 8) return decode_u8;
  if (tag == kPcm && bits == 16) return decode_s16;
  if (tag == kPcm && bits == 24) return decode_s24;
  if (tag == kPcm && bits == 32) return decode_s32;
  if (tag == kFloat && bits == 32) return decode_f32;
  if (tag == kFloat && bits == 64) return decode_f64;
  if (tag == kMuLaw && bits == 8) return decode_mu_law;
  if (tag == kALaw && bits == 8) return decode_a_law;
  return nullptr;
}

// Reads a header from front to back, so that a pipe will do.
class HeaderReader {
 public:
  HeaderReader(std::istream& stream, const std::string& name) : stream_(stream), name_(name) {}

  WavFormat read() {
    read_riff();
    WavFormat format;
    for (;;) {
      uint8_t chunk[8];
      read_bytes(chunk, 8, "before its data chunk");
      uint32_t num_bytes = u32(chunk + 4);
      if (std::memcmp(chunk, "fmt ", 4) == 0) {
        read_format(num_bytes, &format);
      } else if (std::memcmp(chunk, "ds64", 4) == 0) {
        read_ds64(num_bytes);
      } else if (std::memcmp(chunk, "data", 4) == 0) {
        if (format.decode == nullptr) refuse("its data chunk comes before its fmt chunk");
        format.num_data_bytes = data_bytes(num_bytes);
        return format;
      } else {
        skip(num_bytes);
      }
      if (num_bytes % 2) skip_padding();
    }
  }

 private:
  [[noreturn]] void refuse(const std::string& why) const {
    throw Error(ErrorKind::kAudio, name_ + ": " + why);
  }

  void read_bytes(uint8_t* bytes, size_t count, const char* where) {
    stream_.read(reinterpret_cast<char*>(bytes), static_cast<std::streamsize>(count));
    if (static_cast<size_t>(stream_.gcount()) != count) {
      refuse(std::string("the WAV header ends ") + where + "; the file is cut short");
    }
  }

  void skip(uint64_t count) {
    stream_.ignore(static_cast<std::streamsize>(count));
    if (static_cast<uint64_t>(stream_.gcount()) != count) {
      refuse("the WAV header ends before its data chunk; the file is cut short");
    }
  }

  // A chunk of odd size is followed by a zero byte; some writers leave it out.
  void skip_padding() {
    if (stream_.peek() == 0) stream_.get();
  }

  void read_riff() {
    uint8_t riff[12];
    stream_.read(reinterpret_cast<char*>(riff), sizeof riff);
    std::streamsize count = stream_.gcount();
    if (count == 0) refuse("the file is empty; expected WAV audio");
    bool is_riff = count >= 4 && (std::memcmp(riff, "RIFF", 4) == 0 || std::memcmp(riff, "RF64", 4) == 0);
    if (!is_riff || (count == 12 && std::memcmp(riff + 8, "WAVE", 4) != 0)) {
      refuse("not a WAV file (no RIFF/WAVE header)");
    }
    if (count != 12) refuse("the WAV header ends after " + std::to_string(count) + " bytes");
    is_rf64_ = riff[1] == 'F';
  }

  void read_ds64(uint32_t num_bytes) {
    if (num_bytes < 24) refuse("its ds64 chunk has " + std::to_string(num_bytes) + " bytes");
    uint8_t sizes[24];  // RIFF bytes, data bytes, sample count
    read_bytes(sizes, sizeof sizes, "in its ds64 chunk");
    rf64_data_bytes_ = u64(sizes + 8);
    skip(static_cast<uint64_t>(num_bytes) - 24);
  }

  std::optional<uint64_t> data_bytes(uint32_t declared) const {
    if (is_rf64_ && declared == kSizeUnknown && rf64_data_bytes_ > 0) return rf64_data_bytes_;
    // A writer that streams cannot go back to fill in the size and leaves one of these.
    if (declared == 0 || declared == kSizeUnknown) return std::nullopt;
    return declared;
  }

  void read_format(uint32_t num_bytes, WavFormat* format) {
    if (num_bytes < 16 || num_bytes > kMaxFormatBytes) {
      refuse("its fmt chunk has " + std::to_string(num_bytes) + " bytes; expected 16 to 40");
    }
    std::vector<uint8_t> bytes(num_bytes);
    read_bytes(bytes.data(), bytes.size(), "in its fmt chunk");
    uint16_t tag = u16(&bytes[0]), channels = u16(&bytes[2]);
    uint32_t rate_hz = u32(&bytes[4]);
    uint16_t bytes_per_frame = u16(&bytes[12]), bits = u16(&bytes[14]);
    if (tag == kExtensible) {
      if (num_bytes < 40) refuse("its extensible fmt chunk is shorter than 40 bytes");
      tag = u16(&bytes[24]);  // the first two bytes of the subformat's GUID
    }
    if (channels < 1 || channels > kMaxChannels) {
      refuse(std::to_string(channels) + " channels; expected 1 to 64");
    }
    if (rate_hz < 1 || rate_hz > kMaxSampleRateHz) {
      refuse("a sample rate of " + std::to_string(rate_hz) + " Hz; expected 1 to 768000");
    }
    int width = bytes_per_frame / channels;  // bytes of a code
    format->decode = decoder_of(tag, bits, width);
    bool is_known = tag == kPcm || tag == kFloat || tag == kALaw || tag == kMuLaw;
    if (!is_known) {
      refuse("WAV coding " + std::to_string(tag) + " is not built in; PCM, float, mu-law and A-law are");
    }
    if (format->decode == nullptr) {
      refuse("WAV coding " + std::to_string(tag) + " with " + std::to_string(bits) +
             " bits; expected PCM of 8, 16, 24 or 32 bits, float of 32 or 64, mu-law or A-law");
    }
    bool is_wider = tag == kPcm && bits == 24 && bytes_per_frame == 4 * channels;
    if (bytes_per_frame != channels * (bits / 8) && !is_wider) {
      refuse("its frames have " + std::to_string(bytes_per_frame) + " bytes; " + std::to_string(channels) +
             " channels of " + std::to_string(bits) + " bits need " + std::to_string(channels * (bits / 8)));
    }
    format->sample_rate_hz = static_cast<int>(rate_hz);
    format->num_channels = channels;
    format->bytes_per_sample = width;
  }

  std::istream& stream_;
  const std::string& name_;
  bool is_rf64_ = false;
  uint64_t rf64_data_bytes_ = 0;
};

}  // namespace

WavFormat read_wav_header(std::istream& stream, const std::string& name) {
  return HeaderReader(stream, name).read();
}

}  // namespace halfbyte
