// The state of a stream as bytes, in native byte order, for saving and resuming on one machine.
#pragma once
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "error.h"

namespace halfbyte {

class StateWriter {
 public:
  // tag: four bytes that name the kind and version of the state.
  explicit StateWriter(uint32_t tag) { put(tag); }

  template <typename T>
  void put(const T& value) {
    bytes_.append(reinterpret_cast<const char*>(&value), sizeof value);
  }
  template <typename T>
  void put_all(const std::vector<T>& values) {
    put(static_cast<uint64_t>(values.size()));
    bytes_.append(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T));
  }
  const std::string& bytes() const { return bytes_; }

 private:
  std::string bytes_;
};

// Every read is checked against the end; what does not fit throws Error(kInput).
class StateReader {
 public:
  StateReader(uint32_t tag, const std::string& bytes) : bytes_(bytes) {
    if (get<uint32_t>() != tag) refuse();
  }

  template <typename T>
  T get() {
    if (bytes_.size() - position_ < sizeof(T)) refuse();
    T value;
    std::memcpy(&value, bytes_.data() + position_, sizeof value);
    position_ += sizeof value;
    return value;
  }
  template <typename T>
  std::vector<T> get_all() {
    uint64_t count = get<uint64_t>();
    if (count > (bytes_.size() - position_) / sizeof(T)) refuse();
    std::vector<T> values(count);
    if (count > 0) std::memcpy(values.data(), bytes_.data() + position_, count * sizeof(T));
    position_ += count * sizeof(T);
    return values;
  }
  // All bytes must have been read.
  void finish() const {
    if (position_ != bytes_.size()) refuse();
  }

 private:
  [[noreturn]] static void refuse() {
    throw Error(ErrorKind::kInput,
                "bytes that are not a saved stream state of this kind and version; pass what "
                "save() of the same class returned");
  }

  const std::string& bytes_;
  size_t position_ = 0;
};

}  // namespace halfbyte
