// Memory that was freed and that the allocator keeps for later goes back to the machine. From any thread.
#pragma once

#include <cstddef>

namespace assent {

// About so many bytes, at some 4 GB/s; nothing where the allocator has no way to (with sanitizers).
void give_memory_back(std::size_t bytes);

}  // namespace assent
