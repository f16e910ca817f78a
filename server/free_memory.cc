#include "server/free_memory.h"

// Of tcmalloc (gperftools/malloc_extension_c.h), when the program is linked with it.
extern "C" __attribute__((weak)) void MallocExtension_ReleaseToSystem(std::size_t bytes);

namespace assent {

void give_memory_back(std::size_t bytes) {
  if (bytes > 0 && MallocExtension_ReleaseToSystem != nullptr) MallocExtension_ReleaseToSystem(bytes);
}

}  // namespace assent
