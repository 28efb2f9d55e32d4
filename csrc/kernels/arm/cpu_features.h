// What the Arm CPU at hand has beyond the baseline of AArch64.
#pragma once
#if defined(__aarch64__)
#if defined(__linux__)
#include <sys/auxv.h>
#elif defined(__APPLE__)
#include <sys/sysctl.h>
#endif

namespace halfbyte {
namespace {

#if defined(__linux__)
// Bits of the kernel's AT_HWCAP and AT_HWCAP2 (arch/arm64/include/uapi/asm/hwcap.h).
inline bool has_neondot() { return (getauxval(AT_HWCAP) >> 20 & 1) != 0; }  // HWCAP_ASIMDDP
inline bool has_neoni8mm() {
  return has_neondot() && (getauxval(AT_HWCAP2) >> 13 & 1) != 0;  // HWCAP2_I8MM
}
#elif defined(__APPLE__)
inline bool has_feature(const char* name) {
  int value = 0;
  size_t size = sizeof value;
  return sysctlbyname(name, &value, &size, nullptr, 0) == 0 && value != 0;
}
inline bool has_neondot() { return has_feature("hw.optional.arm.FEAT_DotProd"); }
inline bool has_neoni8mm() { return has_neondot() && has_feature("hw.optional.arm.FEAT_I8MM"); }
#else
inline bool has_neondot() { return false; }
inline bool has_neoni8mm() { return false; }
#endif

}  // namespace
}  // namespace halfbyte
#endif
