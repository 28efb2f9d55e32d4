#include "python/bindings.h"

namespace halfbyte::python {
void bind_audio(nanobind::module_&) {}
}  // namespace halfbyte::python
