// The threads of the training kernels: those of torch, which computes on them before and after.
//
// Threads of our own would meet torch's on the same cores: an OpenMP thread waits awake for milliseconds, and
// a training step of 180 ms took 314 with a pool beside it (docs/log.md).
#pragma once
#include <algorithm>
#include <atomic>
#include <cstdint>
#include <exception>

namespace halfbyte::python {

// Calls run(data) on up to `num_threads` threads of the OpenMP library that torch has loaded, or on the
// caller's alone where there is none that we know.
void run_on_torch_threads(int num_threads, void (*run)(void* data), void* data);

// Whether such a library is loaded.
bool has_torch_threads();

// body(begin, end) on parts of 0..count-1 of whole `grain`s. Which thread does what never changes a result.
// Throws what one of the parts threw.
template <class Body>
void share_rows(int num_threads, std::int64_t count, std::int64_t grain, const Body& body) {
  const std::int64_t grains = (count + grain - 1) / grain;
  const std::int64_t parts = std::min<std::int64_t>(num_threads, grains);
  if (parts <= 1) return body(std::int64_t{0}, count);
  struct Loop {
    const Body& body;
    std::int64_t count, grain, grains, parts;
    std::atomic<std::int64_t> next{0};
    std::exception_ptr error{};
    std::atomic<bool> has_failed{false};

    void run() noexcept {
      for (std::int64_t part; (part = next.fetch_add(1)) < parts;) try {
          body(grains * part / parts * grain, std::min(grains * (part + 1) / parts * grain, count));
        } catch (...) {
          if (!has_failed.exchange(true)) error = std::current_exception();
        }
    }
  } loop{body, count, grain, grains, parts};
  run_on_torch_threads(static_cast<int>(parts), [](void* data) { static_cast<Loop*>(data)->run(); }, &loop);
  if (loop.error) std::rethrow_exception(loop.error);
}

}  // namespace halfbyte::python
