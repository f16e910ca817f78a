#include "sim/sim_vfs.h"

#include <fmt/format.h>
#include <sqlite3.h>

#include <algorithm>
#include <cstring>
#include <new>
#include <vector>

#include "base/check.h"

namespace assent {
namespace {

constexpr int path_bytes_max = 512;

// One open file. SQLite gives the memory and calls no destructor but xClose.
struct OpenFile {
  sqlite3_file base{};
  SimVfs* vfs = nullptr;
  std::string path;
  FileId id;
  bool sync_directory = false;  // with the next sync: the name is new
  bool delete_on_close = false;
  std::vector<std::unique_ptr<std::vector<char>>> shared;
};

OpenFile& file_of(sqlite3_file* file) { return *reinterpret_cast<OpenFile*>(file); }
SimVfs& vfs_of(sqlite3_vfs* vfs) { return *static_cast<SimVfs*>(vfs->pAppData); }

int fails(SimVfs& vfs, int code) {
  if (!vfs.is_cut()) ++vfs.counters().errors;
  return code;
}

std::string folder_of(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string_view::npos ? std::string() : std::string(path.substr(0, slash));
}

// ---- a file ----

int close(sqlite3_file* base) {
  OpenFile& file = file_of(base);
  if (!file.vfs->is_cut()) {
    file.vfs->disk().close(file.id);
    if (file.delete_on_close) static_cast<void>(file.vfs->disk().remove(file.path));
  }
  file.~OpenFile();
  return SQLITE_OK;
}

int read(sqlite3_file* base, void* to, int count, sqlite3_int64 offset) {
  OpenFile& file = file_of(base);
  SimVfs& vfs = *file.vfs;
  if (vfs.is_cut()) return SQLITE_IOERR_READ;
  ++vfs.counters().reads;
  const auto wanted = static_cast<std::size_t>(count);
  const Result<Bytes> bytes = vfs.disk().read(file.path, static_cast<std::uint64_t>(offset), wanted);
  if (!bytes) return fails(vfs, SQLITE_IOERR_READ);
  std::memcpy(to, bytes->data(), bytes->size());
  if (bytes->size() == wanted) return SQLITE_OK;
  std::memset(static_cast<char*>(to) + bytes->size(), 0, wanted - bytes->size());
  return SQLITE_IOERR_SHORT_READ;
}

int write(sqlite3_file* base, const void* from, int count, sqlite3_int64 offset) {
  OpenFile& file = file_of(base);
  SimVfs& vfs = *file.vfs;
  if (vfs.is_cut()) return SQLITE_IOERR_WRITE;
  ++vfs.counters().writes;
  Bytes bytes(static_cast<const char*>(from), static_cast<std::size_t>(count));
  const Result<void> done =
      vfs.disk().write_at_once(file.id, static_cast<std::uint64_t>(offset), std::move(bytes), true);
  return done ? SQLITE_OK : fails(vfs, SQLITE_FULL);
}

int truncate(sqlite3_file* base, sqlite3_int64 size) {
  OpenFile& file = file_of(base);
  if (file.vfs->is_cut()) return SQLITE_IOERR_TRUNCATE;
  const Result<void> done = file.vfs->disk().truncate(file.path, static_cast<std::uint64_t>(size));
  return done ? SQLITE_OK : fails(*file.vfs, SQLITE_IOERR_TRUNCATE);
}

int sync(sqlite3_file* base, int) {
  OpenFile& file = file_of(base);
  SimVfs& vfs = *file.vfs;
  if (vfs.is_cut()) return SQLITE_IOERR_FSYNC;
  ++vfs.counters().syncs;
  if (!vfs.disk().sync_at_once(file.id)) return fails(vfs, SQLITE_IOERR_FSYNC);
  if (file.sync_directory && !vfs.disk().sync_directory(folder_of(file.path)))
    return fails(vfs, SQLITE_IOERR_DIR_FSYNC);
  file.sync_directory = false;
  return SQLITE_OK;
}

int file_size(sqlite3_file* base, sqlite3_int64* size) {
  OpenFile& file = file_of(base);
  if (file.vfs->is_cut()) return SQLITE_IOERR_FSTAT;
  const Result<std::uint64_t> found = file.vfs->disk().size(file.path);
  if (!found) return fails(*file.vfs, SQLITE_IOERR_FSTAT);
  *size = static_cast<sqlite3_int64>(*found);
  return SQLITE_OK;
}

int lock(sqlite3_file*, int) { return SQLITE_OK; }
int check_reserved_lock(sqlite3_file*, int* held) {
  *held = 0;
  return SQLITE_OK;
}
int file_control(sqlite3_file*, int, void*) { return SQLITE_NOTFOUND; }
int sector_size(sqlite3_file*) { return 4096; }  // as the unix VFS says of disks that are power-safe
int device_characteristics(sqlite3_file*) { return SQLITE_IOCAP_POWERSAFE_OVERWRITE; }

int shared_map(sqlite3_file* base, int region, int bytes, int extend, void volatile** out) {
  OpenFile& file = file_of(base);
  *out = nullptr;
  const auto wanted = static_cast<std::size_t>(region) + 1;
  while (extend != 0 && file.shared.size() < wanted) {
    file.shared.push_back(std::make_unique<std::vector<char>>(static_cast<std::size_t>(bytes), '\0'));
  }
  if (file.shared.size() >= wanted) *out = file.shared[wanted - 1]->data();
  return SQLITE_OK;
}
int shared_lock(sqlite3_file*, int, int, int) { return SQLITE_OK; }
void shared_barrier(sqlite3_file*) {}
int shared_unmap(sqlite3_file* base, int) {
  file_of(base).shared.clear();
  return SQLITE_OK;
}

constexpr sqlite3_io_methods methods = {2,
                                        close,
                                        read,
                                        write,
                                        truncate,
                                        sync,
                                        file_size,
                                        lock,
                                        lock,
                                        check_reserved_lock,
                                        file_control,
                                        sector_size,
                                        device_characteristics,
                                        shared_map,
                                        shared_lock,
                                        shared_barrier,
                                        shared_unmap,
                                        nullptr,
                                        nullptr};

// ---- the file system ----

int open(sqlite3_vfs* base, const char* path, sqlite3_file* out, int flags, int* out_flags) {
  SimVfs& vfs = vfs_of(base);
  out->pMethods = nullptr;
  if (vfs.is_cut() || path == nullptr) return SQLITE_CANTOPEN;  // nothing of ours wants files without a name
  const bool there = vfs.disk().size(path).has_value();
  if (!there && (flags & SQLITE_OPEN_CREATE) == 0) return SQLITE_CANTOPEN;
  const Result<FileId> id = vfs.disk().open(path, 0);
  if (!id) return fails(vfs, SQLITE_CANTOPEN);
  auto* file = new (out) OpenFile;
  file->vfs = &vfs;
  file->path = path;
  file->id = *id;
  file->sync_directory = !there && (flags & (SQLITE_OPEN_MAIN_JOURNAL | SQLITE_OPEN_WAL)) != 0;
  file->delete_on_close = (flags & SQLITE_OPEN_DELETEONCLOSE) != 0;
  file->base.pMethods = &methods;
  if (out_flags != nullptr) *out_flags = flags;
  return SQLITE_OK;
}

int remove(sqlite3_vfs* base, const char* path, int sync_directory) {
  SimVfs& vfs = vfs_of(base);
  if (vfs.is_cut()) return SQLITE_IOERR_DELETE;
  const Result<void> done = vfs.disk().remove(path);
  if (!done)
    return done.error().code == ErrorCode::not_found ? SQLITE_IOERR_DELETE_NOENT : fails(vfs, SQLITE_IOERR_DELETE);
  if (sync_directory != 0 && !vfs.disk().sync_directory(folder_of(path))) return fails(vfs, SQLITE_IOERR_DIR_FSYNC);
  return SQLITE_OK;
}

int access(sqlite3_vfs* base, const char* path, int flags, int* out) {
  SimVfs& vfs = vfs_of(base);
  if (vfs.is_cut()) return SQLITE_IOERR_ACCESS;
  const Result<std::uint64_t> size = vfs.disk().size(path);
  // As the unix VFS: a file of no bytes does not exist.
  *out = size && (flags != SQLITE_ACCESS_EXISTS || *size > 0) ? 1 : 0;
  return SQLITE_OK;
}

int full_pathname(sqlite3_vfs*, const char* path, int size, char* out) {
  const std::size_t length = std::strlen(path);
  if (length >= static_cast<std::size_t>(size)) return SQLITE_CANTOPEN;
  std::memcpy(out, path, length + 1);
  return SQLITE_OK;
}

int randomness(sqlite3_vfs* base, int count, char* out) {
  for (int i = 0; i < count; ++i) out[i] = static_cast<char>(vfs_of(base).rng().next());
  return count;
}
int sleep(sqlite3_vfs*, int micros) { return micros; }
int current_time_int64(sqlite3_vfs*, sqlite3_int64* now) {
  *now = sqlite3_int64{2'460'000} * 86'400'000;
  return SQLITE_OK;
}
int current_time(sqlite3_vfs*, double* now) {
  *now = 2'460'000.0;
  return SQLITE_OK;
}
int last_error(sqlite3_vfs*, int, char*) { return 0; }

}  // namespace

SimVfs::SimVfs(SimDisk& disk, std::uint64_t seed)
    : disk_(disk),
      rng_(Rng(seed).split("sqlite")),
      name_(fmt::format("assent-sim-{}", fmt::ptr(this))),
      vfs_(std::make_unique<sqlite3_vfs>()) {
  vfs_->iVersion = 2;
  vfs_->szOsFile = sizeof(OpenFile);
  vfs_->mxPathname = path_bytes_max;
  vfs_->zName = name_.c_str();
  vfs_->pAppData = this;
  vfs_->xOpen = open;
  vfs_->xDelete = remove;
  vfs_->xAccess = access;
  vfs_->xFullPathname = full_pathname;
  vfs_->xRandomness = randomness;
  vfs_->xSleep = sleep;
  vfs_->xCurrentTime = current_time;
  vfs_->xCurrentTimeInt64 = current_time_int64;
  vfs_->xGetLastError = last_error;
  // SQLite has one source of random numbers for the whole process: the same one in every run.
  sqlite3_test_control(SQLITE_TESTCTRL_PRNG_SEED, 1, nullptr);
  const int code = sqlite3_vfs_register(vfs_.get(), 0);
  ASSENT_CHECK(code == SQLITE_OK, "SQLite takes the simulated file system");
}

SimVfs::~SimVfs() { sqlite3_vfs_unregister(vfs_.get()); }

}  // namespace assent
