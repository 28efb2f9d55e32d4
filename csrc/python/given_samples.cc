#include "python/given_samples.h"

#include <string>

#include "error.h"

namespace halfbyte::python {
namespace {

std::string name_of(nb::dlpack::dtype dtype) {
  static const char* const kinds[] = {"int",    "uint",    "float", "of an unknown type",
                                      "bfloat", "complex", "bool"};
  if (dtype.code >= std::size(kinds)) return kinds[3];
  const bool has_bits = dtype.code != 3 && dtype.code != 6;
  return kinds[dtype.code] + (has_bits ? std::to_string(dtype.bits) : "");
}

std::string shape_of(const GivenSamples& samples) {
  std::string shape = "(";
  for (std::size_t axis = 0; axis < samples.ndim(); ++axis)
    shape += (axis == 0 ? "" : ", ") + std::to_string(samples.shape(axis));
  return shape + (samples.ndim() == 1 ? ",)" : ")");
}

[[noreturn]] void refuse(const GivenSamples& samples) {
  const bool has_channels = samples.ndim() == 2 && samples.shape(1) > 1;
  throw Error(ErrorKind::kUsage,
              "samples are " + name_of(samples.dtype()) + " of shape " + shape_of(samples) +
                  "; expected float32 or float64 in [-1, 1), or int16, of shape (S,) or "
                  "(S, 1)" +
                  (has_channels ? "; of several channels give one, such as samples[:, 0]" : ""));
}

template <class T>
std::vector<float> converted(const GivenSamples& samples, float scale) {
  std::vector<float> floats(samples.shape(0));
  const T* data = static_cast<const T*>(samples.data());
  const int64_t stride = samples.stride(0);
  for (std::size_t i = 0; i < floats.size(); ++i)
    floats[i] = static_cast<float>(data[static_cast<int64_t>(i) * stride]) * scale;
  return floats;
}

}  // namespace

std::vector<float> floats_of(const GivenSamples& samples) {
  if (samples.ndim() != 1 && !(samples.ndim() == 2 && samples.shape(1) == 1)) refuse(samples);
  if (samples.dtype() == nb::dtype<float>()) return converted<float>(samples, 1.0f);
  if (samples.dtype() == nb::dtype<double>()) return converted<double>(samples, 1.0f);
  if (samples.dtype() == nb::dtype<int16_t>()) return converted<int16_t>(samples, 1.0f / 32768);
  refuse(samples);
}

}  // namespace halfbyte::python
