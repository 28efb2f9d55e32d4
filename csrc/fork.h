// Living on after fork(): the child has all of the parent's memory, and of its threads the one that forked.
#pragma once
#include <cstdint>
#include <mutex>

namespace halfbyte {

// Held over every fork, so that what it guards is whole in the child, and free. Never held for long.
std::mutex& fork_mutex();

// How many forks lie between the first process and this one. Threads that were begun at another number are
// not there.
std::uint64_t num_forks();

}  // namespace halfbyte
