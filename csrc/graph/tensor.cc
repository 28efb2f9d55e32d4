#include "graph/tensor.h"

#include "error.h"
#include "graph/codec.h"

namespace halfbyte {

const char* dtype_name(DType dtype) {
  switch (dtype) {
    case DType::kNone:
      return "none";
    case DType::kFloat32:
      return "float32";
    case DType::kInt64:
      return "int64";
    case DType::kBool:
      return "bool";
    case DType::kFloat16:
      return "float16";
    case DType::kInt8:
      return "int8";
    case DType::kInt16:
      return "int16";
    case DType::kInt32:
      return "int32";
    default:
      const Codec* codec = find_codec(dtype);
      return codec == nullptr ? "unknown" : codec->name;
  }
}

DType dtype_named(const std::string& name) {
  for (std::uint32_t number = 1; number <= kLastDType; ++number)
    if (name == dtype_name(static_cast<DType>(number))) return static_cast<DType>(number);
  return DType::kNone;
}

bool is_computed(DType dtype) { return find_codec(dtype) == nullptr && dtype != DType::kFloat16; }

std::size_t dtype_bytes(DType dtype) {
  switch (dtype) {
    case DType::kFloat32:
      return 4;
    case DType::kInt64:
      return 8;
    case DType::kBool:
      return 1;
    case DType::kFloat16:
      return 2;
    case DType::kInt8:
      return 1;
    case DType::kInt16:
      return 2;
    case DType::kInt32:
      return 4;
    default:
      return 0;
  }
}

Shape::Shape(std::initializer_list<std::int64_t> dims) {
  for (std::int64_t size : dims) push_back(size);
}

void Shape::push_back(std::int64_t size) {
  if (rank_ == kMaxRank)
    throw Error(ErrorKind::kInput, "a tensor has more than 8 axes; the engine runs up to 8");
  dims_[rank_++] = size;
}

std::int64_t Shape::product(int begin, int end) const {
  std::int64_t product = 1;
  for (int axis = begin; axis < end; ++axis) product *= dims_[axis];
  return product;
}

bool Shape::operator==(const Shape& other) const {
  if (rank_ != other.rank_) return false;
  for (int axis = 0; axis < rank_; ++axis)
    if (dims_[axis] != other.dims_[axis]) return false;
  return true;
}

std::string Shape::to_string() const {
  std::string text = "(";
  for (int axis = 0; axis < rank_; ++axis) text += (axis ? ", " : "") + std::to_string(dims_[axis]);
  return text + ")";
}

}  // namespace halfbyte
