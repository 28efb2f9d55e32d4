// Arrays between Python and the engine, without numpy: any buffer in, a memoryview out.
#pragma once
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <utility>
#include <vector>

namespace halfbyte::python {

namespace nb = nanobind;

// float32, C order: array.array("f"), memoryview, numpy array, torch tensor...
using FloatVector = nb::ndarray<const float, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using FloatMatrix = nb::ndarray<const float, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
// bytes, bytearray, memoryview...
using ByteVector = nb::ndarray<const uint8_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

// A memoryview of float32 that owns its values.
using FloatView = nb::ndarray<nb::memview, float, nb::c_contig>;

inline FloatView float_view(std::vector<float> values, std::initializer_list<size_t> shape) {
  auto owned = std::make_unique<std::vector<float>>(std::move(values));
  float* data = owned->data();
  nb::capsule owner(owned.release(), [](void* p) noexcept { delete static_cast<std::vector<float>*>(p); });
  return FloatView(data, shape, owner);
}

}  // namespace halfbyte::python
