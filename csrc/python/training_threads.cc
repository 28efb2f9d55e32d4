#include "python/training_threads.h"

#if defined(__linux__)
#include <dlfcn.h>
#endif

#include "kernels/float_environment.h"

namespace halfbyte::python {
namespace {

using Parallel = void (*)(void (*)(void*), void*, unsigned num_threads, unsigned flags);

// GNU's OpenMP, which torch brings with it on Linux. Not linked: nothing but training needs it. It is looked
// for until it is there, as torch may be imported later.
Parallel parallel() {
  static std::atomic<Parallel> found{nullptr};
#if defined(__linux__)
  if (found == nullptr)
    if (void* const library = dlopen("libgomp.so.1", RTLD_NOW | RTLD_NOLOAD))
      found = reinterpret_cast<Parallel>(dlsym(library, "GOMP_parallel"));
#endif
  return found;
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

bool has_torch_threads() { return parallel() != nullptr; }

void run_on_torch_threads(int num_threads, void (*run)(void* data), void* data) {
  const Parallel run_parallel = parallel();
  if (run_parallel == nullptr) return run(data);
  Region region{run, data};
  run_parallel(run_region, &region, static_cast<unsigned>(num_threads), 0);
}

}  // namespace halfbyte::python
