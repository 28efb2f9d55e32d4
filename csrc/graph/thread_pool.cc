#include "graph/thread_pool.h"

#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <exception>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "error.h"
#include "fork.h"
#include "kernels/float_environment.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace halfbyte {
namespace {

// The loops of one step follow each other within microseconds: waiting awake for about as long as a
// sleeping thread takes to wake up.
constexpr int kSpins = 4000;
constexpr int kMaxThreads = 256;

void pause() {
#if defined(__x86_64__)
  _mm_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

}  // namespace

class ThreadPool::Crew {
 public:
  explicit Crew(int num_threads) : errors_(static_cast<std::size_t>(num_threads)) {
    for (int part = 1; part < num_threads; ++part) workers_.emplace_back([this, part] { work(part); });
  }
  ~Crew();

  bool is_here() const { return forks_ == num_forks(); }
  void run(const Loop& loop);

 private:
  void run_part(int part) noexcept;
  void work(int part);
  void await_loop(std::uint64_t seen);

  std::uint64_t forks_ = num_forks();
  Loop loop_{};
  std::vector<std::exception_ptr> errors_;  // one a part
  std::atomic<std::uint64_t> started_{0};   // loops so far
  std::atomic<int> num_running_{0};         // workers still in the loop
  std::atomic<bool> is_ending_{false};
  std::mutex mutex_;
  std::condition_variable wake_;
  std::vector<std::thread> workers_;
};

ThreadPool::Crew::~Crew() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    is_ending_ = true;
    ++started_;
  }
  wake_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

void ThreadPool::Crew::run_part(int part) noexcept {
  const auto parts = static_cast<std::int64_t>(errors_.size());
  try {
    const std::int64_t begin = loop_.count * part / parts, end = loop_.count * (part + 1) / parts;
    if (begin < end) loop_.call(loop_.body, part, begin, end);
  } catch (...) {
    errors_[static_cast<std::size_t>(part)] = std::current_exception();
  }
}

void ThreadPool::Crew::run(const Loop& loop) {
  loop_ = loop;
  num_running_ = static_cast<int>(workers_.size());
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    ++started_;
  }
  wake_.notify_all();
  run_part(0);
  for (int spins = 0; num_running_.load(std::memory_order_acquire) > 0; ++spins)
    spins < kSpins ? pause() : std::this_thread::yield();
  for (std::exception_ptr& error : errors_)
    if (error) std::rethrow_exception(std::exchange(error, nullptr));
}

void ThreadPool::Crew::await_loop(std::uint64_t seen) {
  for (int spins = 0; spins < kSpins; ++spins) {
    if (started_.load(std::memory_order_acquire) != seen) return;
    pause();
  }
  std::unique_lock<std::mutex> lock(mutex_);
  wake_.wait(lock, [&] { return started_ != seen; });
}

void ThreadPool::Crew::work(int part) {
  const FloatEnvironment environment;
  for (std::uint64_t seen = 0;; ++seen) {
    await_loop(seen);
    if (is_ending_) return;
    run_part(part);
    num_running_.fetch_sub(1, std::memory_order_release);
  }
}

ThreadPool::ThreadPool(int num_threads)
    : num_threads_(num_threads), crew_(std::make_unique<Crew>(num_threads)) {}

ThreadPool::~ThreadPool() { leave_parents(); }

// A forked child can neither use nor end its parent's threads, and what they wait for cannot be destroyed:
// the memory stays as it is.
void ThreadPool::leave_parents() {
  if (crew_ && !crew_->is_here()) static_cast<void>(crew_.release());
}

void ThreadPool::run_parts(const Loop& loop) {
  leave_parents();
  if (!crew_) crew_ = std::make_unique<Crew>(num_threads_);
  crew_->run(loop);
}

int threads_of(int asked) {
  const char* text = std::getenv("HALFBYTE_THREADS");
  const bool is_from_environment = asked == 0 && text != nullptr && *text != '\0';
  char* end = nullptr;
  const long threads = is_from_environment ? std::strtol(text, &end, 10) : asked == 0 ? 1 : asked;
  if (threads < 1 || threads > kMaxThreads || (is_from_environment && *end != '\0'))
    throw Error(ErrorKind::kUsage, (is_from_environment ? std::string("HALFBYTE_THREADS is '") + text + "'"
                                                        : "threads is " + std::to_string(threads)) +
                                       "; expected 1 to " + std::to_string(kMaxThreads));
  return static_cast<int>(threads);
}

}  // namespace halfbyte
