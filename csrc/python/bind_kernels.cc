#include "python/bindings.h"

namespace halfbyte::python {
void bind_kernels(nanobind::module_&) {}
}  // namespace halfbyte::python
