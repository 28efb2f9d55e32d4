// A fixed number of threads that share a loop. Which thread does what never changes a result: the parts of
// a loop write different places, and no sum is split.
#pragma once
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace halfbyte {

class ThreadPool {
 public:
  // `num_threads` counts the thread that calls run(); the others wait here.
  explicit ThreadPool(int num_threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int size() const { return static_cast<int>(workers_.size()) + 1; }

  // Calls body(part, begin, end) for size() parts of 0..count-1, each on a thread of its own, and returns
  // when all are done. Allocates nothing. One caller at a time. What a part throws is thrown here, the
  // first part's first.
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

  void run_parts(const Loop& loop);
  void run_part(int part) noexcept;
  void work(int part);
  void await_loop(std::uint64_t seen);

  Loop loop_{};
  std::vector<std::exception_ptr> errors_;  // one a part
  std::atomic<std::uint64_t> started_{0};   // loops so far
  std::atomic<int> num_running_{0};         // workers still in the loop
  std::atomic<bool> is_ending_{false};
  std::mutex mutex_;
  std::condition_variable wake_;
  std::vector<std::thread> workers_;
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
