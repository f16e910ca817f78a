// Preloaded into assentd by power_loss_test: keeps beside the data directory what a power loss would leave of it.
//
//   ASSENT_POWER_LOSS_DATA    the data directory that is watched
//   ASSENT_POWER_LOSS_SHADOW  the folder of the shadow: inodes/<number>, what each file holds for sure; names/..., what
//                             each folder holds for sure, as links to them
//
// A write, truncation or reservation is noted and reaches the shadow only with the next successful fsync or fdatasync
// of its file. A name (create, rename, unlink) reaches it only with the fsync of its folder. So the shadow is the worst
// case: nothing that was not synced survives. What lies in mapped memory (SQLite's -shm file) is never synced, nor
// needed.
//
// Only what assentd and SQLite call is watched; power_loss_test checks that syncs were seen at all. One lock for all:
// this is a test.
#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace {

template <class Function>
Function real(const char* name) {
  return reinterpret_cast<Function>(::dlsym(RTLD_NEXT, name));
}

// What was done to a file since its last sync.
struct Change {
  enum class Kind { write, truncate, reserve } kind = Kind::write;
  off_t offset = 0;  // or size
  std::string bytes;
};

struct Watched {
  std::string path;  // of a folder; files may be renamed
  ino_t inode = 0;
  bool folder = false;
};

struct Shadow {
  std::mutex mutex;
  std::string data;
  std::string root;
  std::map<int, Watched> open;
  std::map<ino_t, std::vector<Change>> pending;

  Shadow() {
    const char* const data_dir = ::getenv("ASSENT_POWER_LOSS_DATA");
    const char* const shadow_dir = ::getenv("ASSENT_POWER_LOSS_SHADOW");
    if (data_dir == nullptr || shadow_dir == nullptr) return;
    data = data_dir;
    root = shadow_dir;
    for (const std::string& folder : {root, root + "/inodes", root + "/names"}) ::mkdir(folder.c_str(), 0700);
  }
  [[nodiscard]] std::string inode_path(ino_t inode) const { return root + "/inodes/" + std::to_string(inode); }

  void opened(int fd, const char* path, bool fresh);
  void note(int fd, Change change);
  void synced(int fd, const std::vector<Change>& done);
  void synced_folder(const std::string& path);
};

// Made at the first call and never destroyed: threads may outlive static objects.
Shadow& shadow() {
  static auto* const made = new Shadow;
  return *made;
}

using OpenFunction = int (*)(const char*, int, ...);

// Past the watch: its lock is held.
int close_for_real(int fd) {
  static const auto next = real<int (*)(int)>("close");
  return next(fd);
}

std::string absolute(const char* path) {
  if (path[0] == '/') return path;
  char here[4096];
  return ::getcwd(here, sizeof here) == nullptr ? path : std::string(here) + "/" + path;
}

void Shadow::opened(int fd, const char* raw_path, bool fresh) {
  if (fd < 0 || data.empty()) return;
  const std::string path = absolute(raw_path);
  open.erase(fd);
  if (path != data && path.rfind(data + "/", 0) != 0) return;
  struct stat about {};
  if (::fstat(fd, &about) != 0) return;
  const bool folder = S_ISDIR(about.st_mode);
  if (!folder && !S_ISREG(about.st_mode)) return;
  open[fd] = {path, about.st_ino, folder};
  if (!fresh || folder) return;
  // The number of a file that is gone: whoever still has its name keeps its content.
  ::unlink(inode_path(about.st_ino).c_str());
  pending.erase(about.st_ino);
}

void Shadow::note(int fd, Change change) {
  const auto found = open.find(fd);
  if (found != open.end() && !found->second.folder) pending[found->second.inode].push_back(std::move(change));
}

void Shadow::synced(int fd, const std::vector<Change>& done) {
  const auto found = open.find(fd);
  if (found == open.end()) return;
  if (found->second.folder) return synced_folder(found->second.path);
  static const auto open_file = real<OpenFunction>("open");
  static const auto pwrite_file = real<ssize_t (*)(int, const void*, size_t, off_t)>("pwrite");
  static const auto truncate_file = real<int (*)(int, off_t)>("ftruncate");
  const int copy = open_file(inode_path(found->second.inode).c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
  for (const Change& change : done) {
    struct stat about {};
    ::fstat(copy, &about);
    switch (change.kind) {
      case Change::Kind::write: {
        ssize_t at = 0;
        const auto size = static_cast<ssize_t>(change.bytes.size());
        while (at < size) {
          const ssize_t more =
              pwrite_file(copy, change.bytes.data() + at, static_cast<size_t>(size - at), change.offset + at);
          if (more <= 0) ::abort();  // a shadow with holes proves nothing
          at += more;
        }
        break;
      }
      case Change::Kind::truncate:
        if (truncate_file(copy, change.offset) != 0) ::abort();
        break;
      case Change::Kind::reserve:
        if (change.offset > about.st_size && truncate_file(copy, change.offset) != 0) ::abort();
        break;
    }
  }
  close_for_real(copy);
}

// The names that the folder has now are those that it has for sure.
void Shadow::synced_folder(const std::string& path) {
  static const auto open_file = real<OpenFunction>("open");
  const std::string names = root + "/names" + path.substr(data.size());
  ::mkdir(names.c_str(), 0700);
  if (DIR* const before = ::opendir(names.c_str()); before != nullptr) {
    while (const dirent* const entry = ::readdir(before)) ::unlink((names + "/" + entry->d_name).c_str());
    ::closedir(before);
  }
  DIR* const now = ::opendir(path.c_str());
  if (now == nullptr) return;
  while (const dirent* const entry = ::readdir(now)) {
    const std::string name = entry->d_name;
    const std::string here = std::string(path).append("/").append(name);
    const std::string shadow = std::string(names).append("/").append(name);
    struct stat about {};
    if (name == "." || name == ".." || ::lstat(here.c_str(), &about) != 0) continue;
    if (S_ISDIR(about.st_mode)) {
      ::mkdir(shadow.c_str(), 0700);
    } else if (S_ISREG(about.st_mode)) {
      // A file of which nothing was synced is there and empty.
      const int made = open_file(inode_path(about.st_ino).c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
      close_for_real(made);
      if (::link(inode_path(about.st_ino).c_str(), shadow.c_str()) != 0) ::abort();
    }
  }
  ::closedir(now);
}

bool exists(const char* path) {
  struct stat about {};
  return ::stat(path, &about) == 0;
}

int open_watched(const char* path, int flags, mode_t mode) {
  static const auto next = real<OpenFunction>("open");
  const std::lock_guard lock(shadow().mutex);
  const bool fresh = (flags & O_CREAT) != 0 && !exists(path);
  const int fd = next(path, flags, mode);
  shadow().opened(fd, path, fresh);
  if (fd >= 0 && (flags & O_TRUNC) != 0) shadow().note(fd, {Change::Kind::truncate, 0, {}});
  return fd;
}

ssize_t pwrite_watched(int fd, const void* bytes, size_t size, off_t offset) {
  static const auto next = real<ssize_t (*)(int, const void*, size_t, off_t)>("pwrite");
  const ssize_t written = next(fd, bytes, size, offset);
  if (written > 0) {
    const std::lock_guard lock(shadow().mutex);
    shadow().note(
        fd, {Change::Kind::write, offset, std::string(static_cast<const char*>(bytes), static_cast<size_t>(written))});
  }
  return written;
}

int truncate_watched(int fd, off_t size) {
  static const auto next = real<int (*)(int, off_t)>("ftruncate");
  const int result = next(fd, size);
  const std::lock_guard lock(shadow().mutex);
  if (result == 0) shadow().note(fd, {Change::Kind::truncate, size, {}});
  return result;
}

int reserve_watched(int fd, off_t offset, off_t size) {
  static const auto next = real<int (*)(int, off_t, off_t)>("posix_fallocate");
  const int result = next(fd, offset, size);
  const std::lock_guard lock(shadow().mutex);
  if (result == 0) shadow().note(fd, {Change::Kind::reserve, offset + size, {}});
  return result;
}

// What was written before the sync began is on the disk when it returns, and nothing else is known to be.
int sync_watched(int fd, const char* call) {
  const auto next = real<int (*)(int)>(call);
  std::vector<Change> before;
  {
    const std::lock_guard lock(shadow().mutex);
    const auto found = shadow().open.find(fd);
    if (found != shadow().open.end()) before = std::exchange(shadow().pending[found->second.inode], {});
  }
  const int result = next(fd);
  const std::lock_guard lock(shadow().mutex);
  if (result == 0) shadow().synced(fd, std::move(before));
  return result;
}

mode_t mode_of(int flags, va_list arguments) {
  return (flags & O_CREAT) != 0 ? static_cast<mode_t>(va_arg(arguments, int)) : 0;
}

}  // namespace

extern "C" {

int open(const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = mode_of(flags, arguments);
  va_end(arguments);
  return open_watched(path, flags, mode);
}
int open64(const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = mode_of(flags, arguments);
  va_end(arguments);
  return open_watched(path, flags, mode);
}
ssize_t pwrite(int fd, const void* bytes, size_t size, off_t offset) { return pwrite_watched(fd, bytes, size, offset); }
ssize_t pwrite64(int fd, const void* bytes, size_t size, off_t offset) {
  return pwrite_watched(fd, bytes, size, offset);
}
// Sequential writes into the data directory: noted at the file's own place.
ssize_t write(int fd, const void* bytes, size_t size) {
  static const auto next = real<ssize_t (*)(int, const void*, size_t)>("write");
  const ssize_t written = next(fd, bytes, size);
  if (written <= 0) return written;
  const std::lock_guard lock(shadow().mutex);
  if (shadow().open.count(fd) != 0) {
    const off_t end = ::lseek(fd, 0, SEEK_CUR);
    shadow().note(fd, {Change::Kind::write, end - written,
                       std::string(static_cast<const char*>(bytes), static_cast<size_t>(written))});
  }
  return written;
}
int ftruncate(int fd, off_t size) noexcept { return truncate_watched(fd, size); }
int ftruncate64(int fd, off_t size) noexcept { return truncate_watched(fd, size); }
int posix_fallocate(int fd, off_t offset, off_t size) { return reserve_watched(fd, offset, size); }
int posix_fallocate64(int fd, off_t offset, off_t size) { return reserve_watched(fd, offset, size); }
int fdatasync(int fd) { return sync_watched(fd, "fdatasync"); }
int fsync(int fd) { return sync_watched(fd, "fsync"); }
int close(int fd) {
  {
    const std::lock_guard lock(shadow().mutex);
    shadow().open.erase(fd);
  }
  return close_for_real(fd);
}
}
