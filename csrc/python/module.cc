// The Python module `halfbyte._core`: one binding file a room of the engine, gathered here.
#include "python/bindings.h"

NB_MODULE(_core, m) {
  m.doc() = "The halfbyte engine. Use the packages halfbyte.engine and halfbyte.listen instead.";
  halfbyte::python::bind_kernels(m);
  halfbyte::python::bind_graph(m);
  halfbyte::python::bind_audio(m);
  halfbyte::python::bind_decode(m);
}
