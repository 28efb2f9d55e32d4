#pragma once
#include <cstddef>
#include <vector>

namespace halfbyte {

// A buffer needed from the run of node `first` to that of node `last`, both included.
struct Lifetime {
  std::size_t num_bytes;
  int first;
  int last;
  std::size_t offset_bytes = 0;  // the result
};

// Gives each buffer a place in one arena, a multiple of 64, such that buffers that live at the same
// time do not overlap: largest first, each at the lowest free place. Returns the arena's size.
std::size_t plan_memory(std::vector<Lifetime>& buffers);

}  // namespace halfbyte
