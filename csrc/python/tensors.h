// Tensors over Python buffers.
#pragma once
#include <nanobind/nanobind.h>

#include "graph/tensor.h"

namespace halfbyte::python {

// A tensor over a C-contiguous Python buffer; nothing is copied. Throws kInput for types that graphs do not
// have.
Tensor tensor_of(nanobind::handle object);

}  // namespace halfbyte::python
