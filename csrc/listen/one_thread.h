// Work that belongs to one thread at a time.
#pragma once
#include <mutex>

#include "error.h"

namespace halfbyte {

// Refuses a second thread instead of letting it wait: chunks of one stream that come from two threads have no
// order.
class OneThread {
 public:
  // Runs `call`; throws kUsage where another thread is running one.
  template <class Call>
  auto run(Call call) {
    const std::unique_lock<std::mutex> lock(mutex_, std::try_to_lock);
    if (!lock.owns_lock())
      throw Error(ErrorKind::kUsage,
                  "the stream is at work in another thread; give each thread a stream of its own");
    return call();
  }

 private:
  std::mutex mutex_;
};

}  // namespace halfbyte
