#include "audio/wav.h"

#include <algorithm>

#include "audio/samples.h"
#include "error.h"
#include "kernels/float_environment.h"

namespace halfbyte {
namespace fs = std::filesystem;
namespace {

constexpr size_t kBlockFrames = 4096;
// Writers to a pipe that cannot go back leave about 2 GiB as the size: sox 0x7FFFFFFF less the
// header, arecord 0x80000000, others 0xFFFFFFFF less the header. Nobody is told that it lacks.
constexpr uint64_t kLargestPromiseBytes = 0x7FFF0000;

// One line whatever the path holds.
std::string printable(const fs::path& path) {
  std::string name = path.u8string();
  for (char& c : name) {
    if (static_cast<unsigned char>(c) < 32) c = '?';
  }
  return name;
}

std::ifstream open(const fs::path& path, const std::string& name) {
  std::error_code ignored;
  if (fs::is_directory(path, ignored)) {
    throw Error(ErrorKind::kAudio, name + ": a folder; expected a WAV file");
  }
  if (!fs::exists(path, ignored)) {
    throw Error(ErrorKind::kAudio, name + ": no such file; give the path of a recording");
  }
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    throw Error(ErrorKind::kAudio, name + ": the file cannot be opened; check its permissions");
  }
  return file;
}

}  // namespace

WavReader::WavReader(const fs::path& path, std::optional<int> channel)
    : name_(printable(path)),
      file_(open(path, name_)),
      format_(read_wav_header(file_, name_)),
      channel_(channel) {
  if (channel && (*channel < 1 || *channel > format_.num_channels)) {
    throw Error(ErrorKind::kAudio, name_ + ": channel " + std::to_string(*channel) +
                                       " is not there; it has " + std::to_string(format_.num_channels) +
                                       " (the first is 1)");
  }
  find_num_samples(path);
  if (num_samples_ && *num_samples_ == 0) {
    throw Error(ErrorKind::kAudio, name_ + ": the WAV file holds no samples");
  }
}

void WavReader::find_num_samples(const fs::path& path) {
  std::optional<uint64_t> num_bytes = format_.num_data_bytes;
  std::error_code ignored;
  is_regular_ = fs::is_regular_file(path, ignored);
  if (is_regular_) {
    uint64_t present = fs::file_size(path) - static_cast<uint64_t>(file_.tellg());
    num_bytes = num_bytes ? std::min(*num_bytes, present) : present;
  }
  if (num_bytes) num_samples_ = *num_bytes / static_cast<uint64_t>(format_.bytes_per_frame());
}

// Fills block_ with whole frames and returns how many; a piece of a frame at the end is dropped.
size_t WavReader::read_block(size_t max_frames) {
  size_t frame_bytes = static_cast<size_t>(format_.bytes_per_frame());
  size_t num_frames = std::min(max_frames, kBlockFrames);
  if (num_samples_) num_frames = std::min<uint64_t>(num_frames, *num_samples_ - num_read_samples_);
  block_.resize(num_frames * frame_bytes);
  file_.read(reinterpret_cast<char*>(block_.data()), static_cast<std::streamsize>(block_.size()));
  return static_cast<size_t>(file_.gcount()) / frame_bytes;
}

// The chosen channel of a frame, or the mean of all.
double WavReader::mix_frame(const uint8_t* code) {
  if (channel_) return format_.decode(code + (*channel_ - 1) * format_.bytes_per_sample);
  double sum = 0.0, squares = 0.0;
  for (int c = 0; c < format_.num_channels; ++c, code += format_.bytes_per_sample) {
    double value = format_.decode(code);
    sum += value;
    squares += value * value;
  }
  double mean = sum / format_.num_channels;
  mix_energy_ += mean * mean;
  channel_energy_ += squares / format_.num_channels;
  return mean;
}

void WavReader::skip(uint64_t num_samples) {
  if (num_samples_) num_samples = std::min(num_samples, *num_samples_ - num_read_samples_);
  auto num_bytes = static_cast<std::streamsize>(num_samples) * format_.bytes_per_frame();
  if (is_regular_) {
    file_.seekg(num_bytes, std::ios::cur);
    num_read_samples_ += num_samples;
  } else {
    file_.ignore(num_bytes);
    num_read_samples_ += static_cast<uint64_t>(file_.gcount() / format_.bytes_per_frame());
  }
}

std::vector<float> WavReader::read(size_t max_samples) {
  FloatEnvironment environment;
  std::vector<float> samples;
  while (samples.size() < max_samples) {
    size_t num_frames = read_block(max_samples - samples.size());
    if (num_frames == 0) break;
    const uint8_t* code = block_.data();
    size_t first = samples.size();
    for (size_t i = 0; i < num_frames; ++i) {
      samples.push_back(static_cast<float>(mix_frame(code)));
      code += format_.bytes_per_frame();
    }
    try {
      check_finite(samples.data() + first, num_frames, static_cast<int64_t>(num_read_samples_));
      check_full_scale(samples.data() + first, num_frames);
    } catch (const Error& error) {
      throw Error(error.kind(), name_ + ": " + error.what());
    }
    num_read_samples_ += num_frames;
  }
  return samples;
}

uint64_t WavReader::num_missing_samples() const {
  const uint64_t promised_bytes = format_.num_data_bytes.value_or(0);
  if (promised_bytes >= kLargestPromiseBytes && promised_bytes <= 0xFFFFFFFF) return 0;
  const uint64_t promised = promised_bytes / static_cast<uint64_t>(format_.bytes_per_frame());
  return promised - std::min(promised, num_read_samples_);
}

}  // namespace halfbyte
