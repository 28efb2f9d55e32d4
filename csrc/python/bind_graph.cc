#include "python/bindings.h"

namespace halfbyte::python {
void bind_graph(nanobind::module_&) {}
}  // namespace halfbyte::python
