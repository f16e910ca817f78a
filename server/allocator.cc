#include "server/allocator.h"

// Of tcmalloc (gperftools/malloc_extension_c.h), when the program is linked with it.
extern "C" __attribute__((weak)) void MallocExtension_ReleaseToSystem(std::size_t bytes);
extern "C" __attribute__((weak)) int MallocExtension_GetNumericProperty(const char* property, std::size_t* value);

namespace assent {
namespace {

std::uint64_t property(const char* name) {
  std::size_t value = 0;
  if (MallocExtension_GetNumericProperty != nullptr) MallocExtension_GetNumericProperty(name, &value);
  return value;
}

}  // namespace

AllocatorFigures allocator_figures() {
  return {.in_use_bytes = property("generic.current_allocated_bytes"),
          .kept_bytes = property("tcmalloc.pageheap_free_bytes")};
}

void give_memory_back(std::size_t bytes) {
  if (bytes > 0 && MallocExtension_ReleaseToSystem != nullptr) MallocExtension_ReleaseToSystem(bytes);
}

}  // namespace assent
