// The Python module `halfbyte._core`: one binding file a room of the engine, gathered here.
#include <cstring>

#include "error.h"
#include "python/bindings.h"

namespace nb = nanobind;

namespace {

const char* class_name(halfbyte::ErrorKind kind) {
  switch (kind) {
    case halfbyte::ErrorKind::kAudio:
      return "AudioError";
    case halfbyte::ErrorKind::kModelFile:
      return "ModelFileError";
    case halfbyte::ErrorKind::kInput:
      return "InputError";
    case halfbyte::ErrorKind::kUsage:
      return "UsageError";
  }
  return "HalfbyteError";
}

// Errors of the engine become the classes of halfbyte/errors.py.
void translate(const std::exception_ptr& error, void*) {
  try {
    std::rethrow_exception(error);
  } catch (const halfbyte::Error& e) {
    const nb::object type = nb::module_::import_("halfbyte.errors").attr(class_name(e.kind()));
    // A path in a message need not be UTF-8.
    const nb::object message = nb::steal(
        PyUnicode_DecodeUTF8(e.what(), static_cast<Py_ssize_t>(std::strlen(e.what())), "backslashreplace"));
    PyErr_SetObject(type.ptr(), message.ptr());
  }
}

}  // namespace

NB_MODULE(_core, m) {
  m.doc() = "The halfbyte engine. Use the packages halfbyte.engine and halfbyte.listen instead.";
  // What is alive when the interpreter ends is given back by the system; a terminal need not hear.
  nb::set_leak_warnings(false);
  nb::register_exception_translator(translate);
  halfbyte::python::bind_kernels(m);
  halfbyte::python::bind_graph(m);
  halfbyte::python::bind_audio(m);
  halfbyte::python::bind_decode(m);
  halfbyte::python::bind_listen(m);
  halfbyte::python::bind_measure(m);
}
