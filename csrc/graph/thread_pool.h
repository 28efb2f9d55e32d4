// A fixed number of threads that share a loop. Which thread does what never changes a result: the parts of
// a loop write different places, and no sum is split.
#pragma once
#include <cstdint>
#include <memory>

namespace halfbyte {

class ThreadPool {
 public:
  // `num_threads` counts the thread that calls run(); the others wait here.
  explicit ThreadPool(int num_threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int size() const { return num_threads_; }

  // Calls body(part, begin, end) for size() parts of 0..count-1, each on a thread of its own, and returns
  // when all are done. Allocates nothing, but in a forked child, which lacks the threads and begins others.
  // One caller at a time. What a part throws is thrown here, the first part's first.
  template <class Body>
  void run(std::int64_t count, const Body& body) {
    run_parts({[](const void* f, int part, std::int64_t begin, std::int64_t end) {
                 (*static_cast<const Body*>(f))(part, begin, end);
               },
               &body, count});
  }

 private:
  struct Loop {
    void (*call)(const void* body, int part, std::int64_t begin, std::int64_t end);
    const void* body;
    std::int64_t count;
  };
  class Crew;

  void run_parts(const Loop& loop);
  void leave_parents();

  int num_threads_;
  std::unique_ptr<Crew> crew_;  // the threads and what they share
};

// body(part, begin, end) on all threads of a pool, or as one part where there is none.
template <class Body>
void share_loop(ThreadPool* pool, std::int64_t count, const Body& body) {
  if (pool == nullptr)
    body(0, std::int64_t{0}, count);
  else
    pool->run(count, body);
}

// Threads of a session: `asked`, or where that is 0 the environment variable HALFBYTE_THREADS, or 1.
// Throws kUsage for anything but 1 to 256.
int threads_of(int asked);

}  // namespace halfbyte
