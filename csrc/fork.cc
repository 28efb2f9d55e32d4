#include "fork.h"

#if !defined(_WIN32)
#include <pthread.h>
#endif

namespace halfbyte {
namespace {

struct Forks {
  Forks() {
#if !defined(_WIN32)  // which cannot fork
    pthread_atfork([] { fork_mutex().lock(); }, [] { fork_mutex().unlock(); },
                   [] {
                     ++forks().num_forks;
                     fork_mutex().unlock();
                   });
#endif
  }
  static Forks& forks() {
    static Forks instance;
    return instance;
  }

  std::mutex mutex;
  std::uint64_t num_forks = 0;  // written in a child's first moment, when it has one thread
};

}  // namespace

std::mutex& fork_mutex() { return Forks::forks().mutex; }
std::uint64_t num_forks() { return Forks::forks().num_forks; }

}  // namespace halfbyte
