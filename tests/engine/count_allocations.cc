// Preloaded by test_memory.py: counts what the process asks of malloc while counting is on.
#include <dlfcn.h>

#include <atomic>
#include <cstddef>

extern "C" {
void* __libc_malloc(std::size_t);
void* __libc_calloc(std::size_t, std::size_t);
void* __libc_realloc(void*, std::size_t);
void* __libc_memalign(std::size_t, std::size_t);

static std::atomic<bool> is_counting{false};
static std::atomic<long> num_allocations{0};
static void count() {
  if (is_counting.load(std::memory_order_relaxed)) ++num_allocations;
}

void start_counting() {
  num_allocations = 0;
  is_counting = true;
}
long stop_counting() {
  is_counting = false;
  return num_allocations;
}

void* malloc(std::size_t size) { return count(), __libc_malloc(size); }
void* calloc(std::size_t number, std::size_t size) { return count(), __libc_calloc(number, size); }
void* realloc(void* old, std::size_t size) { return count(), __libc_realloc(old, size); }
void* aligned_alloc(std::size_t alignment, std::size_t size) {
  return count(), __libc_memalign(alignment, size);
}
int posix_memalign(void** place, std::size_t alignment, std::size_t size) {
  count();
  *place = __libc_memalign(alignment, size);
  return *place == nullptr ? 12 : 0;
}
}
