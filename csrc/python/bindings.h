// Every bind_*.cc fills one room of `halfbyte._core`.
#pragma once
#include <nanobind/nanobind.h>

namespace halfbyte::python {
void bind_kernels(nanobind::module_& m);
void bind_training_kernels(nanobind::module_& kernels);
void bind_patches(nanobind::module_& kernels);
void bind_graph(nanobind::module_& m);
void bind_audio(nanobind::module_& m);
void bind_decode(nanobind::module_& m);
void bind_listen(nanobind::module_& m);
void bind_measure(nanobind::module_& m);
}  // namespace halfbyte::python
