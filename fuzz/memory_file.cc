#include "memory_file.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>

MemoryFile::MemoryFile(const std::uint8_t* bytes, std::size_t num_bytes)
    : descriptor_(::memfd_create("fuzz", MFD_CLOEXEC)),
      path_("/proc/self/fd/" + std::to_string(descriptor_)) {
  if (descriptor_ < 0) std::abort();
  while (num_bytes > 0) {
    const ssize_t written = ::write(descriptor_, bytes, num_bytes);
    if (written <= 0) std::abort();
    bytes += written;
    num_bytes -= static_cast<std::size_t>(written);
  }
}

MemoryFile::~MemoryFile() { ::close(descriptor_); }
