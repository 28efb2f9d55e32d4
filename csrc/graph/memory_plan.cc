#include "graph/memory_plan.h"

#include <algorithm>
#include <numeric>

namespace halfbyte {
namespace {

constexpr std::size_t kAlignmentBytes = 64;

std::size_t aligned(std::size_t num_bytes) {
  return (num_bytes + kAlignmentBytes - 1) / kAlignmentBytes * kAlignmentBytes;
}

}  // namespace

std::size_t plan_memory(std::vector<Lifetime>& buffers) {
  std::vector<std::size_t> by_size(buffers.size());
  std::iota(by_size.begin(), by_size.end(), std::size_t{0});
  std::stable_sort(by_size.begin(), by_size.end(),
                   [&](std::size_t a, std::size_t b) { return buffers[a].num_bytes > buffers[b].num_bytes; });
  std::vector<const Lifetime*> placed;  // in order of offset
  std::size_t arena_bytes = 0;
  for (std::size_t index : by_size) {
    Lifetime& buffer = buffers[index];
    const std::size_t size = aligned(buffer.num_bytes);
    std::size_t offset = 0;
    for (const Lifetime* other : placed) {
      if (other->last < buffer.first || buffer.last < other->first) continue;
      if (offset + size <= other->offset_bytes) break;
      offset = std::max(offset, other->offset_bytes + aligned(other->num_bytes));
    }
    buffer.offset_bytes = offset;
    arena_bytes = std::max(arena_bytes, offset + size);
    placed.insert(std::upper_bound(
                      placed.begin(), placed.end(), &buffer,
                      [](const Lifetime* a, const Lifetime* b) { return a->offset_bytes < b->offset_bytes; }),
                  &buffer);
  }
  return arena_bytes;
}

}  // namespace halfbyte
