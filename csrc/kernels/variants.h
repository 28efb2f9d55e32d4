// The tables that registry.cc chooses from, each defined in the file of its instruction set.
#pragma once
#include "kernels/kernels.h"

namespace halfbyte {
extern const Kernels kKernelsPortable;
extern const Kernels kKernelsAvx2;
extern const Kernels kKernelsAvxvnni;
extern const Kernels kKernelsAvx512vnni;
extern const Kernels kKernelsAmx;
extern const Kernels kKernelsNeon;
extern const Kernels kKernelsNeondot;
extern const Kernels kKernelsNeoni8mm;
}  // namespace halfbyte
