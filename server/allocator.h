// The allocator that the programs are linked with (tcmalloc): what it has, and how it is told to give some back. From
// any thread. Zeros, and nothing, where there is another one, as with sanitizers.
#pragma once

#include <cstddef>
#include <cstdint>

namespace assent {

struct AllocatorFigures {
  std::uint64_t in_use_bytes = 0;  // handed out
  std::uint64_t kept_bytes = 0;    // freed, in whole pages, and resident for whoever wants memory next
};
[[nodiscard]] AllocatorFigures allocator_figures();

// About so many of the kept bytes go back to the machine, at some 4 GB/s.
void give_memory_back(std::size_t bytes);

}  // namespace assent
