// Reads little-endian numbers from a section of a model file and never leaves it.
#pragma once
#include <cstdint>
#include <cstring>
#include <string>

#include "error.h"
#include "graph/names.h"

namespace halfbyte {

class ByteReader {
 public:
  // `what` names the section in error messages.
  ByteReader(const std::uint8_t* bytes, std::uint64_t num_bytes, std::string what)
      : bytes_(bytes), left_(num_bytes), what_(std::move(what)) {}

  std::uint32_t u32() { return number<std::uint32_t>(); }
  std::uint64_t u64() { return number<std::uint64_t>(); }
  std::int64_t i64() { return number<std::int64_t>(); }
  float f32() { return number<float>(); }

  std::string text() {
    const std::uint32_t size = count(1);
    std::string text(reinterpret_cast<const char*>(bytes_), size);
    advance(size);
    if (!is_printable(text)) fail("holds a name that is not printable UTF-8");
    return text;
  }

  // A number of items that take at least `item_bytes` each: refused where they cannot fit.
  std::uint32_t count(std::uint64_t item_bytes) {
    const std::uint32_t items = u32();
    if (items > left_ / item_bytes) fail("ends too early");
    return items;
  }

  // An index below `size`.
  std::uint32_t index(std::uint64_t size) {
    const std::uint32_t index = u32();
    if (index >= size) fail("holds an index out of range");
    return index;
  }

  void expect_end() {
    if (left_ != 0) fail("has bytes left over");
  }

  [[noreturn]] void fail(const std::string& problem) const {
    throw Error(ErrorKind::kModelFile,
                "section '" + what_ + "' " + problem + "; the file is damaged: compile it again");
  }

 private:
  template <class T>
  T number() {
    if (left_ < sizeof(T)) fail("ends too early");
    T value;
    std::memcpy(&value, bytes_, sizeof(T));
    advance(sizeof(T));
    return value;
  }
  void advance(std::uint64_t num_bytes) {
    bytes_ += num_bytes;
    left_ -= num_bytes;
  }

  const std::uint8_t* bytes_;
  std::uint64_t left_;
  std::string what_;
};

}  // namespace halfbyte
