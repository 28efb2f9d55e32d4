#include "python/training_threads.h"

#if defined(__linux__)
#include <dlfcn.h>
#endif

#include "kernels/float_environment.h"

namespace halfbyte::python {
namespace {

using Parallel = void (*)(void (*)(void*), void*, unsigned num_threads, unsigned flags);

// GNU's OpenMP, which torch brings with it on Linux. Not linked: nothing but training needs it.
Parallel find_parallel() {
#if defined(__linux__)
  if (void* const library = dlopen("libgomp.so.1", RTLD_NOW | RTLD_NOLOAD))
    return reinterpret_cast<Parallel>(dlsym(library, "GOMP_parallel"));
#endif
  return nullptr;
}

struct Region {
  void (*run)(void*);
  void* data;
};

void run_region(void* data) {
  const FloatEnvironment environment;
  const Region& region = *static_cast<Region*>(data);
  region.run(region.data);
}

}  // namespace

void run_on_torch_threads(int num_threads, void (*run)(void* data), void* data) {
  static const Parallel parallel = find_parallel();  // torch is there before its tensors
  if (parallel == nullptr) return run(data);
  Region region{run, data};
  parallel(run_region, &region, static_cast<unsigned>(num_threads), 0);
}

}  // namespace halfbyte::python
