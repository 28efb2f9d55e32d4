// What the bindings of kernels share: arrays as they come from Python, and how a kernel is run.
#pragma once
#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>

#include <cstdint>
#include <cstring>
#include <string>

#include "error.h"
#include "kernels/float_environment.h"

namespace halfbyte::python {

namespace nb = nanobind;

template <class T>
using Flat = nb::ndarray<T, nb::c_contig, nb::device::cpu>;  // any number of dimensions
template <class T>
using Vector = nb::ndarray<T, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
template <class T>
using Matrix = nb::ndarray<T, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
template <class T>
using StridedMatrix = nb::ndarray<T, nb::ndim<2>, nb::device::cpu>;

using Isa = const std::string&;

inline void expect(bool is_right, const char* message) {
  if (!is_right) throw Error(ErrorKind::kInput, message);
}

inline int64_t size(size_t n) { return static_cast<int64_t>(n); }

// bfloat16 goes as its bits, in int16.
inline float float_of_bf16(int16_t code) {
  const uint32_t bits = static_cast<uint32_t>(static_cast<uint16_t>(code)) << 16;
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

// Kernels run without the GIL and in the float modes of the specification.
struct Computing {
  nb::gil_scoped_release no_gil;
  FloatEnvironment environment;
};

inline nb::arg_v default_isa_arg() { return nb::arg("isa") = ""; }

}  // namespace halfbyte::python
