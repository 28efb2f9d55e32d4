// Tensors as the executor sees them: a type, a shape and a pointer to row-major contiguous data.
#pragma once
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>

namespace halfbyte {

// Numbers are those of the model file (docs/model-file.md).
enum class DType : std::uint32_t {
  kNone = 0,
  kFloat32 = 1,
  kInt64 = 2,
  kBool = 3,     // one byte, 0 or 1
  kFloat16 = 4,  // constants only: scales and biases of quantised layers
  kPacked4 = 5,  // constants only: codes of 4 bits as codec.h says
  kPacked8 = 6,  // and of other widths
  kPacked1 = 7,
  kPacked2 = 8,
  kPacked3 = 9,
  kPacked5 = 10,
  kPacked6 = 11,
  kPacked7 = 12,
  kInt8 = 13,  // of integer-only models
  kInt16 = 14,
  kInt32 = 15,
};

constexpr std::uint32_t kLastDType = 15;

const char* dtype_name(DType dtype);
// kNone if no type has that name.
DType dtype_named(const std::string& name);
// Whether nodes may write values of this type: not float16 and packed codes.
bool is_computed(DType dtype);
// Bytes of one element; 0 for the packed types, whose size depends on the shape.
std::size_t dtype_bytes(DType dtype);

// Sizes of up to kMaxRank axes, held inline so that copying one allocates nothing.
class Shape {
 public:
  static constexpr int kMaxRank = 8;

  Shape() = default;
  Shape(std::initializer_list<std::int64_t> dims);

  int rank() const { return rank_; }
  std::int64_t operator[](int axis) const { return dims_[axis]; }
  std::int64_t& operator[](int axis) { return dims_[axis]; }
  // Adds an axis at the end; throws kInput beyond kMaxRank.
  void push_back(std::int64_t size);
  // Product of axes [begin, end).
  std::int64_t product(int begin, int end) const;
  std::int64_t num_elements() const { return product(0, rank_); }
  bool operator==(const Shape& other) const;
  bool operator!=(const Shape& other) const { return !(*this == other); }
  std::string to_string() const;  // "(1, 80, 256)"

 private:
  int rank_ = 0;
  std::int64_t dims_[kMaxRank] = {};
};

// A view of data that someone else holds; `owner`, where set, keeps that data alive.
struct Tensor {
  DType dtype = DType::kNone;
  Shape shape;
  const void* data = nullptr;
  std::shared_ptr<const void> owner;

  std::size_t num_bytes() const {
    return static_cast<std::size_t>(shape.num_elements()) * dtype_bytes(dtype);
  }
  template <class T>
  const T* as() const {
    return static_cast<const T*>(data);
  }
};

}  // namespace halfbyte
