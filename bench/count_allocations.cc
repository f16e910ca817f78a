// Counts how often a process asks its allocator for memory: preloaded (LD_PRELOAD), it stands before whatever allocator
// the process has and hands everything on. The count, a native uint64, is the file COUNT_ALLOCATIONS_IN/<process id>
// while the process runs and after it. For bench/profile.sh; a probe of the kernel at each call costs so much that
// nothing else would be measured.
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <new>

namespace {

using Count = std::atomic<std::uint64_t>;
static_assert(Count::is_always_lock_free && sizeof(Count) == 8);

Count before_the_file{0};
std::atomic<Count*> count{&before_the_file};

__attribute__((constructor)) void open_file() {
  const char* folder = std::getenv("COUNT_ALLOCATIONS_IN");
  if (folder == nullptr) return;
  char path[4'096];
  std::snprintf(path, sizeof(path), "%s/%d", folder, static_cast<int>(getpid()));
  const int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (file < 0) return;
  void* shared = MAP_FAILED;
  if (ftruncate(file, sizeof(Count)) == 0) {
    shared = mmap(nullptr, sizeof(Count), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  }
  close(file);
  if (shared != MAP_FAILED) count = new (shared) Count(before_the_file.load());
}

// The same function of whoever comes next.
template <class Function, class... Arguments>
auto hand_on(std::atomic<Function>& found, const char* name, Arguments... arguments) {
  count.load(std::memory_order_relaxed)->fetch_add(1, std::memory_order_relaxed);
  Function function = found.load(std::memory_order_relaxed);
  if (function == nullptr) {
    function = reinterpret_cast<Function>(dlsym(RTLD_NEXT, name));
    found.store(function, std::memory_order_relaxed);
  }
  return function(arguments...);
}

using OfSize = void* (*)(std::size_t);
using OfTwo = void* (*)(std::size_t, std::size_t);
using Again = void* (*)(void*, std::size_t);
using Quiet = void* (*)(std::size_t, const std::nothrow_t*);

std::atomic<OfSize> next_malloc, next_new, next_new_array;
std::atomic<OfTwo> next_calloc, next_aligned_new;
std::atomic<Again> next_realloc;
std::atomic<Quiet> next_quiet_new;

}  // namespace

extern "C" {
void* malloc(std::size_t size) noexcept { return hand_on(next_malloc, "malloc", size); }
void* calloc(std::size_t many, std::size_t size) noexcept { return hand_on(next_calloc, "calloc", many, size); }
void* realloc(void* old, std::size_t size) noexcept { return hand_on(next_realloc, "realloc", old, size); }
}
void* operator new(std::size_t size) { return hand_on(next_new, "_Znwm", size); }
void* operator new[](std::size_t size) { return hand_on(next_new_array, "_Znam", size); }
void* operator new(std::size_t size, std::align_val_t to) {
  return hand_on(next_aligned_new, "_ZnwmSt11align_val_t", size, static_cast<std::size_t>(to));
}
void* operator new(std::size_t size, const std::nothrow_t& quiet) noexcept {
  return hand_on(next_quiet_new, "_ZnwmRKSt9nothrow_t", size, &quiet);
}
