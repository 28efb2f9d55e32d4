// Bits depend on the rounding and denormal modes, which other code in the process may have changed.
#pragma once
#include <cstdint>

#if defined(__x86_64__)
#include <xmmintrin.h>
#elif !defined(__aarch64__)
#include <cfenv>
#endif

namespace halfbyte {

// While it lives, this thread rounds to nearest even, keeps denormals and masks all exceptions; then the
// modes it found return. Build one on entry to any computation (each thread its own).
class FloatEnvironment {
 public:
  FloatEnvironment() { enter(); }
  ~FloatEnvironment() { leave(); }
  FloatEnvironment(const FloatEnvironment&) = delete;
  FloatEnvironment& operator=(const FloatEnvironment&) = delete;

 private:
#if defined(__x86_64__)
  void enter() {
    saved_ = _mm_getcsr();
    _mm_setcsr(0x1F80);  // the processor's reset value: nearest even, no FTZ, no DAZ, all masked
  }
  void leave() { _mm_setcsr(saved_); }
  unsigned saved_ = 0;
#elif defined(__aarch64__)
  void enter() {
    asm volatile("mrs %0, fpcr" : "=r"(saved_));
    asm volatile("msr fpcr, %0" : : "r"(uint64_t{0}) : "memory");
  }
  void leave() { asm volatile("msr fpcr, %0" : : "r"(saved_) : "memory"); }
  uint64_t saved_ = 0;
#else
  void enter() {
    std::fegetenv(&saved_);
    std::fesetenv(FE_DFL_ENV);
  }
  void leave() { std::fesetenv(&saved_); }
  std::fenv_t saved_;
#endif
};

}  // namespace halfbyte
