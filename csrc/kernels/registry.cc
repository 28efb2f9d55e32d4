// The one place where an instruction set is chosen. A new one adds a line to kVariants and its name to
// kKnown.
#if defined(__x86_64__)
#include <cpuid.h>
#endif
#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

#include <cstdlib>
#include <iterator>
#include <string>

#include "error.h"
#include "kernels/arm/cpu_features.h"
#include "kernels/kernels.h"
#include "kernels/variants.h"

namespace halfbyte {
namespace {

// Slowest first within each kind of CPU.
constexpr const char* kKnown[] = {"portable", "avx2", "avxvnni", "avx512vnni",
                                  "amx",      "neon", "neondot", "neoni8mm"};

struct Variant {
  const Kernels* kernels;
  bool (*is_supported)();
};

bool always() { return true; }

#if defined(__x86_64__)
bool has_avx2() { return __builtin_cpu_supports("avx2"); }

bool has_avx512vnni() {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512vnni");
}

// Compilers do not know these names yet: CPUID leaf 7, its second part, EAX bit 4.
bool has_avxvnni() {
  unsigned eax = 0, ebx, ecx, edx;
  return has_avx2() && __get_cpuid_count(7, 1, &eax, &ebx, &ecx, &edx) && (eax >> 4 & 1);
}

// The system hands out tile registers on request, once for the process.
bool may_use_tiles() {
#if defined(__linux__)
  constexpr long kRequestPermission = 0x1023, kTileData = 18;  // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
#else
  return false;
#endif
}

// CPUID leaf 7: EDX bits 24 (AMX-TILE) and 25 (AMX-INT8).
bool has_amx() {
  static const bool has = [] {
    unsigned eax, ebx, ecx, edx = 0;
    return has_avx512vnni() && __get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) && (edx >> 24 & 3) == 3 &&
           may_use_tiles();
  }();
  return has;
}
#endif

// Slowest first; the last one supported is the default.
constexpr Variant kVariants[] = {
    {&kKernelsPortable, always},
#if defined(__x86_64__)
    {&kKernelsAvx2, has_avx2},   {&kKernelsAvxvnni, has_avxvnni}, {&kKernelsAvx512vnni, has_avx512vnni},
    {&kKernelsAmx, has_amx},
#elif defined(__aarch64__)
    {&kKernelsNeon, always},
    {&kKernelsNeondot, has_neondot},
    {&kKernelsNeoni8mm, has_neoni8mm},
#endif
};

const Kernels& best_kernels() {
  const Kernels* best = nullptr;
  for (const Variant& variant : kVariants)
    if (variant.is_supported()) best = variant.kernels;
  return *best;
}

std::string joined(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

void check_finite(int64_t bad_row, int64_t first_row) {
  if (bad_row >= 0)
    throw Error(ErrorKind::kInput, "row " + std::to_string(first_row + bad_row) +
                                       " of a linear layer's input holds "
                                       "NaN or infinity; activations must be finite, check the samples");
}

const Kernels& kernels_of_environment() {
  const char* isa = std::getenv("HALFBYTE_ISA");
  return isa == nullptr || *isa == '\0' ? best_kernels() : find_kernels(isa);
}

}  // namespace

const Kernels& kernels() {
  static const Kernels& chosen = kernels_of_environment();
  return chosen;
}

const Kernels& find_kernels(const std::string& isa) {
  if (isa.empty()) return kernels();
  for (const Variant& variant : kVariants)
    if (isa == variant.kernels->isa && variant.is_supported()) return *variant.kernels;
  bool is_known = false;
  for (const char* name : kKnown) is_known = is_known || isa == name;
  throw Error(ErrorKind::kUsage, "instruction set '" + isa + "' (HALFBYTE_ISA): " +
                                     (is_known ? "this CPU lacks it" : "there is no such instruction set") +
                                     "; this CPU runs: " + joined(available_isas()));
}

std::vector<std::string> available_isas() {
  std::vector<std::string> names;
  for (const Variant& variant : kVariants)
    if (variant.is_supported()) names.push_back(variant.kernels->isa);
  return names;
}

std::vector<std::string> known_isas() { return {std::begin(kKnown), std::end(kKnown)}; }

LinearKernel find_linear(const Kernels& kernels, int weight_bits, int act_bits) {
  if (act_bits == 8 && weight_bits >= 1 && weight_bits <= kMaxWeightBits) return kernels.linear[weight_bits];
  if (act_bits == 4 && weight_bits == 4) return kernels.linear_w4a4;
  return nullptr;
}

void quantize_rows(const Kernels& kernels, const float* x, int64_t x_stride, int qmax, const CodeRows& out,
                   int64_t first_row) {
  check_finite(kernels.quantize_rows(x, x_stride, qmax, out), first_row);
}

void quantize_rows(const Kernels& kernels, const float* x, int64_t x_stride, const StaticScale& scale,
                   const CodeRows& out, int64_t first_row) {
  check_finite(kernels.quantize_rows_static(x, x_stride, scale, out), first_row);
}

}  // namespace halfbyte
