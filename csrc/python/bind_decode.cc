#include "python/bindings.h"

namespace halfbyte::python {
void bind_decode(nanobind::module_&) {}
}  // namespace halfbyte::python
