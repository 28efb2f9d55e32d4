#include "python/tensors.h"

#include <cstring>
#include <memory>
#include <string>

#include "error.h"

namespace nb = nanobind;

namespace halfbyte::python {
namespace {

struct BufferFormat {
  const char* code;
  DType dtype;
};

constexpr BufferFormat kFormats[] = {{"f", DType::kFloat32}, {"q", DType::kInt64}, {"l", DType::kInt64},
                                     {"?", DType::kBool},    {"b", DType::kInt8},  {"h", DType::kInt16},
                                     {"i", DType::kInt32}};

// Holds a Python buffer; released under the GIL, which whoever drops a Tensor may not have.
struct HeldBuffer {
  Py_buffer view;
  ~HeldBuffer() {
    nb::gil_scoped_acquire gil;
    PyBuffer_Release(&view);
  }
};

}  // namespace

Tensor tensor_of(nb::handle object) {
  auto held = std::make_unique<HeldBuffer>();
  if (PyObject_GetBuffer(object.ptr(), &held->view, PyBUF_FORMAT | PyBUF_C_CONTIGUOUS) != 0) {
    held->view.obj = nullptr;
    throw nb::python_error();
  }
  const Py_buffer& view = held->view;
  Tensor tensor;
  const char* format = view.format == nullptr ? "B" : view.format;
  if (*format == '@' || *format == '=' || *format == '<') ++format;
  for (const BufferFormat& known : kFormats)
    if (std::strcmp(format, known.code) == 0) tensor.dtype = known.dtype;
  if (tensor.dtype == DType::kNone || dtype_bytes(tensor.dtype) != static_cast<std::size_t>(view.itemsize))
    throw Error(
        ErrorKind::kInput,
        std::string("a buffer of format '") + format +
            "' is not supported; expected float32 (f), int64 (q), bool (?), or int8, 16, 32 (b, h, i)");
  if (reinterpret_cast<std::uintptr_t>(view.buf) % static_cast<std::size_t>(view.itemsize) != 0)
    throw Error(ErrorKind::kInput, "a buffer is not aligned to its elements; copy it");
  for (int axis = 0; axis < view.ndim; ++axis) tensor.shape.push_back(view.shape[axis]);
  tensor.data = view.buf;
  tensor.owner = std::shared_ptr<const void>(held.release(),
                                             [](const void* p) { delete static_cast<const HeldBuffer*>(p); });
  return tensor;
}

}  // namespace halfbyte::python
