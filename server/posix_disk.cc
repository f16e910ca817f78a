#include "server/posix_disk.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <deque>
#include <filesystem>
#include <map>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>
#include <variant>

#include "server/spare_file.h"

namespace assent {
namespace {

std::string errno_text(int number) { return std::generic_category().message(number); }

tl::unexpected<Error> os_failure(std::string_view doing, const std::string& path, int number) {
  std::string message = fmt::format("cannot {} {}: {}", doing, path, errno_text(number));
  if (number == ENOSPC || number == EDQUOT) message += "; free space on this file system and start the node again";
  const ErrorCode code = number == ENOENT ? ErrorCode::not_found : ErrorCode::io;
  return fail(code, std::move(message));
}

// Owns a file descriptor.
class Descriptor {
 public:
  explicit Descriptor(int fd = -1) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  [[nodiscard]] int get() const { return fd_; }
  [[nodiscard]] bool valid() const { return fd_ >= 0; }

 private:
  int fd_;
};

Descriptor open_file(const std::string& path, int flags, mode_t mode = 0) {
  int fd = -1;
  do {
    fd = ::open(path.c_str(), flags | O_CLOEXEC, mode);
  } while (fd < 0 && errno == EINTR);
  return Descriptor(fd);
}

// 0 or an errno.
int write_all(int fd, ByteView data, std::uint64_t offset) {
  while (!data.empty()) {
    const ssize_t written = ::pwrite(fd, data.data(), data.size(), static_cast<off_t>(offset));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return errno;
    if (written == 0) return EIO;
    data.remove_prefix(static_cast<std::size_t>(written));
    offset += static_cast<std::uint64_t>(written);
  }
  return 0;
}

// Never retried, not even after EINTR: what a failed sync left behind is unknown.
int sync_data(int fd) { return ::fdatasync(fd) == 0 ? 0 : errno; }

// Writes whole aligned blocks past the page cache where the file allows it: nothing is left for the sync to write out.
class BlockWriter {
 public:
  static constexpr std::size_t block = 4096;

  // 0 or an errno.
  int write(int buffered, int direct, ByteView data, std::uint64_t offset) {
    const bool aligned = data.size() % block == 0 && offset % block == 0 && data.size() <= bytes_max;
    if (direct < 0 || !aligned) return write_all(buffered, data, offset);
    if (!buffer_) buffer_.reset(static_cast<char*>(std::aligned_alloc(block, bytes_max)));
    if (!buffer_) return ENOMEM;
    std::copy(data.begin(), data.end(), buffer_.get());
    return write_all(direct, ByteView(buffer_.get(), data.size()), offset);
  }

 private:
  static constexpr std::size_t bytes_max = 1U << 20U;
  struct Free {
    void operator()(char* memory) const { std::free(memory); }  // of aligned_alloc
  };
  std::unique_ptr<char, Free> buffer_;
};

// A file shared with the operations that are queued for it, so that close() never pulls it from under them.
struct OpenFile {
  Descriptor descriptor;
  Descriptor direct;  // the same file with O_DIRECT; none where that is not to be had
  std::string path;
};
using OpenFilePtr = std::shared_ptr<OpenFile>;

struct Write {
  OpenFilePtr file;
  std::uint64_t offset = 0;
  Bytes data;
  IoToken token;
};
struct Sync {
  OpenFilePtr file;
  IoToken token;
};
using Operation = std::variant<Write, Sync>;

std::optional<Error> completion_error(std::string_view doing, const OpenFile& file, int number) {
  if (number == 0) return std::nullopt;
  return os_failure(doing, file.path, number).value();
}

// How long a sync takes now at the least: the shortest of late, which ages by a sixteenth with each one, so that a
// thread that was not scheduled does not count as a slow device. Written by whoever syncs, read by the loop's thread.
class SyncPace {
 public:
  [[nodiscard]] bool quick() const {
    return delay_.load(std::memory_order_relaxed) == 0 && nanos_.load(std::memory_order_relaxed) < quick_nanos;
  }
  void delay(std::chrono::milliseconds delay) { delay_.store(delay.count(), std::memory_order_relaxed); }
  int timed(int fd) {
    const auto begin = std::chrono::steady_clock::now();
    if (const auto delay = delay_.load(std::memory_order_relaxed); delay > 0) {
      std::this_thread::sleep_for(std::chrono::milliseconds(delay));  // as the device would
    }
    const int number = sync_data(fd);
    const auto took = std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now() - begin);
    const std::int64_t old = nanos_.load(std::memory_order_relaxed);
    nanos_.store(std::min(took.count(), old + old / 16), std::memory_order_relaxed);
    return number;
  }

 private:
  // Handing an operation to another thread and its end back costs two wake-ups, some tens of microseconds each; a loop
  // that waits so long misses no heartbeat.
  static constexpr std::int64_t quick_nanos = 300'000;
  std::atomic<std::int64_t> delay_ = 0;            // milliseconds, for development
  std::atomic<std::int64_t> nanos_ = quick_nanos;  // unknown: not quick until one was
};

bool syncs(const Operation& operation, const OpenFile& file) {
  const auto* sync = std::get_if<Sync>(&operation);
  return sync != nullptr && sync->file.get() == &file;
}

IoCompletion execute(const Operation& operation, BlockWriter& writer, SyncPace& pace) {
  if (const auto* write = std::get_if<Write>(&operation)) {
    const int number =
        writer.write(write->file->descriptor.get(), write->file->direct.get(), write->data, write->offset);
    return {write->token, completion_error("write to", *write->file, number)};
  }
  const auto& sync = std::get<Sync>(operation);
  return {sync.token, completion_error("sync", *sync.file, pace.timed(sync.file->descriptor.get()))};
}

// The thread that writes and syncs. queue_, done_, busy_ and stopping_ are guarded by mutex_; the rest belongs to one
// thread.
class IoThread {
 public:
  IoThread(SyncPace& pace, std::function<void()> wake)
      : pace_(pace), wake_(std::move(wake)), thread_([this] { run(); }) {}

  ~IoThread() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    arrived_.notify_one();
    thread_.join();
  }
  IoThread(const IoThread&) = delete;
  IoThread& operator=(const IoThread&) = delete;

  // Empties what it takes.
  void push(std::vector<Operation>& operations) {
    bool was_empty = false;
    {
      const std::lock_guard lock(mutex_);
      was_empty = queue_.empty();
      std::move(operations.begin(), operations.end(), std::back_inserter(queue_));
      busy_ = true;
    }
    operations.clear();
    if (was_empty) arrived_.notify_one();
  }

  // Nothing is queued or being done.
  [[nodiscard]] bool idle() {
    const std::lock_guard lock(mutex_);
    return !busy_;
  }

  std::vector<IoCompletion> take_done() {
    const std::lock_guard lock(mutex_);
    return std::exchange(done_, {});
  }

 private:
  void run() {
    std::unique_lock lock(mutex_);
    while (true) {
      arrived_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
      if (queue_.empty()) return;  // stopping, and everything handed in has been done
      std::deque<Operation> taken = std::exchange(queue_, {});
      lock.unlock();
      execute_all(taken);
      lock.lock();
      busy_ = !queue_.empty();
    }
  }

  // Reports after each operation, so that a later long one never holds up an earlier completion; only a write with its
  // sync right behind it is reported together with that.
  void execute_all(const std::deque<Operation>& operations) {
    std::vector<IoCompletion> finished;
    for (std::size_t i = 0; i < operations.size(); ++i) {
      finished.push_back(execute(operations[i], writer_, pace_));
      const auto* write = std::get_if<Write>(&operations[i]);
      if (write != nullptr && i + 1 < operations.size() && syncs(operations[i + 1], *write->file)) continue;
      report(finished);
    }
  }

  void report(std::vector<IoCompletion>& finished) {
    {
      const std::lock_guard lock(mutex_);
      std::move(finished.begin(), finished.end(), std::back_inserter(done_));
    }
    finished.clear();
    if (wake_) wake_();
  }

  std::mutex mutex_;
  std::condition_variable arrived_;
  std::deque<Operation> queue_;
  std::vector<IoCompletion> done_;
  bool busy_ = false;
  bool stopping_ = false;
  BlockWriter writer_;
  SyncPace& pace_;
  const std::function<void()> wake_;
  std::thread thread_;  // last: it uses all of the above
};

class Posix final : public PosixDisk {
 public:
  Posix(std::string root, Descriptor lock) : root_(std::move(root)), lock_(std::move(lock)) {}

  void begin(std::function<void()> wake, Begin begin) {
    begin_ = begin;
    spare_ = std::make_unique<SpareFile>(root_ + "/spare");
    io_ = std::make_unique<IoThread>(pace_, std::move(wake));
  }

  void delay_syncs(std::chrono::milliseconds delay) override { pace_.delay(delay); }

  bool start(Meanwhile meanwhile) override {
    if (gathered_.empty()) return false;
    const bool here =
        meanwhile == Meanwhile::waits && gathered_bytes_ <= inline_bytes_max && pace_.quick() && io_->idle();
    gathered_bytes_ = 0;
    if (!here) {
      io_->push(gathered_);
      return false;
    }
    for (const Operation& operation : gathered_) done_here_.push_back(execute(operation, writer_, pace_));
    gathered_.clear();
    return true;
  }

  Result<FileId> open(std::string_view path, std::uint64_t reserve_bytes) override {
    if (!io_) return read_only(path);
    const std::string full = full_path(path);
    Descriptor descriptor = open_file(full, O_RDWR);
    if (!descriptor.valid() && errno == ENOENT) {
      auto created = create(full, reserve_bytes);
      if (!created) return fail(std::move(created.error()));
      descriptor = std::move(*created);
    }
    if (!descriptor.valid()) return os_failure("open", full, errno);
    Descriptor direct;
    if (reserve_bytes > 0) direct = open_file(full, O_RDWR | O_DIRECT);
    const FileId id(++last_file_);
    files_.emplace(id, std::make_shared<OpenFile>(OpenFile{std::move(descriptor), std::move(direct), full}));
    return id;
  }

  void close(FileId file) override { files_.erase(file); }

  void write(FileId file, std::uint64_t offset, Bytes data, IoToken token) override {
    const OpenFilePtr target = find(file);
    if (!target) return refuse(token, "write to");
    hand_in(Write{target, offset, std::move(data), token});
  }

  void sync(FileId file, IoToken token) override {
    const OpenFilePtr target = find(file);
    if (!target) return refuse(token, "sync");
    hand_in(Sync{target, token});
  }

  // Handed over at once, so that the thread wakes up once.
  void write_then_sync(FileId file, std::uint64_t offset, Bytes data, IoToken written, IoToken synced) override {
    const OpenFilePtr target = find(file);
    if (!target) {
      refuse(written, "write to");
      return refuse(synced, "sync");
    }
    hand_in(Write{target, offset, std::move(data), written}, Sync{target, synced});
  }

  Result<void> write_durably(FileId file, std::uint64_t offset, Bytes data) override {
    const OpenFilePtr target = find(file);
    if (!target) return fail(ErrorCode::io, "cannot write to a file that is not open");
    if (const int number = write_all(target->descriptor.get(), data, offset); number != 0) {
      return os_failure("write to", target->path, number);
    }
    // fsync, not fdatasync: the file may just have been made.
    if (::fsync(target->descriptor.get()) != 0) return os_failure("sync", target->path, errno);
    return {};
  }

  // What ran here ran after everything that the thread had done: it begins only when that is idle.
  std::vector<IoCompletion> poll() override {
    std::vector<IoCompletion> done = std::exchange(refused_, {});
    if (!io_) return done;
    std::vector<IoCompletion> from_thread = io_->take_done();
    std::move(from_thread.begin(), from_thread.end(), std::back_inserter(done));
    std::move(done_here_.begin(), done_here_.end(), std::back_inserter(done));
    done_here_.clear();
    return done;
  }

  Result<Bytes> read(std::string_view path, std::uint64_t offset, std::uint64_t size) override {
    const std::string full = full_path(path);
    const Descriptor descriptor = open_file(full, O_RDONLY);
    if (!descriptor.valid()) return os_failure("open", full, errno);
    struct stat info {};
    if (::fstat(descriptor.get(), &info) != 0) return os_failure("read", full, errno);
    const auto end = static_cast<std::uint64_t>(info.st_size);
    if (offset >= end) return Bytes{};
    Bytes bytes(std::min(size, end - offset), '\0');
    std::size_t filled = 0;
    while (filled < bytes.size()) {
      const ssize_t count =
          ::pread(descriptor.get(), bytes.data() + filled, bytes.size() - filled, static_cast<off_t>(offset + filled));
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) return os_failure("read", full, errno);
      if (count == 0) break;
      filled += static_cast<std::size_t>(count);
    }
    bytes.resize(filled);
    return bytes;
  }

  Result<std::uint64_t> size(std::string_view path) override {
    const std::string full = full_path(path);
    struct stat info {};
    if (::stat(full.c_str(), &info) != 0) return os_failure("read", full, errno);
    return static_cast<std::uint64_t>(info.st_size);
  }

  Result<std::vector<std::string>> list(std::string_view folder) override {
    const std::string full = full_path(folder);
    std::error_code error;
    std::vector<std::string> names;
    std::filesystem::directory_iterator entry(full, error);
    if (error == std::errc::no_such_file_or_directory) return names;
    for (const std::filesystem::directory_iterator end; !error && entry != end; entry.increment(error)) {
      names.push_back(entry->path().filename().string());
    }
    if (error) return os_failure("list", full, error.value());
    std::sort(names.begin(), names.end());
    return names;
  }

  Result<void> make_folder(std::string_view folder) override {
    if (!io_) return read_only(folder);
    const std::string full = full_path(folder);
    if (::mkdir(full.c_str(), 0700) != 0 && errno != EEXIST) return os_failure("create the folder", full, errno);
    return {};
  }

  Result<void> truncate(std::string_view path, std::uint64_t size) override {
    if (!io_) return read_only(path);
    const std::string full = full_path(path);
    const Descriptor descriptor = open_file(full, O_RDWR);
    if (!descriptor.valid()) return os_failure("open", full, errno);
    if (::ftruncate(descriptor.get(), static_cast<off_t>(size)) != 0) return os_failure("cut", full, errno);
    if (::fsync(descriptor.get()) != 0) return os_failure("sync", full, errno);
    return {};
  }

  Result<void> rename(std::string_view from, std::string_view to) override {
    if (!io_) return read_only(from);
    const std::string source = full_path(from);
    if (::rename(source.c_str(), full_path(to).c_str()) != 0) return os_failure("rename", source, errno);
    return {};
  }

  Result<void> remove(std::string_view path) override {
    if (!io_) return read_only(path);
    const std::string full = full_path(path);
    if (::unlink(full.c_str()) != 0) return os_failure("remove", full, errno);
    return {};
  }

  Result<void> sync_directory(std::string_view folder) override {
    if (!io_) return read_only(folder);
    const std::string full = full_path(folder);
    const Descriptor descriptor = open_file(full, O_RDONLY | O_DIRECTORY);
    if (!descriptor.valid()) return os_failure("open the folder", full, errno);
    if (::fsync(descriptor.get()) != 0) return os_failure("sync the folder", full, errno);
    return {};
  }

 private:
  std::string full_path(std::string_view path) const {
    return path.empty() ? root_ : fmt::format("{}/{}", root_, path);
  }

  tl::unexpected<Error> read_only(std::string_view path) const {
    return fail(ErrorCode::refused, fmt::format("{} was opened for reading only", full_path(path)));
  }

  template <class... Operations>
  void hand_in(Operations... operations) {
    (gather(std::move(operations)), ...);
    if (begin_ == Begin::at_once) io_->push(gathered_);
  }
  void gather(Operation operation) {
    if (const auto* write = std::get_if<Write>(&operation)) gathered_bytes_ += write->data.size();
    gathered_.push_back(std::move(operation));
  }

  // The first file of its kind is filled with zeros while nothing else goes on; later ones take the spare. When that is
  // not ready the space is only reserved: slower to sync, but nobody waits.
  Result<Descriptor> create(const std::string& full, std::uint64_t reserve_bytes) {
    if (reserve_bytes > 0 && spare_->take(full, reserve_bytes)) {
      spare_->prepare(reserve_bytes);
      Descriptor descriptor = open_file(full, O_RDWR);
      if (!descriptor.valid()) return os_failure("open", full, errno);
      return descriptor;
    }
    Descriptor descriptor = open_file(full, O_RDWR | O_CREAT, 0600);
    if (!descriptor.valid()) return os_failure("create", full, errno);
    if (reserve_bytes == 0) return descriptor;
    const int number = std::exchange(reserved_before_, true)
                           ? ::posix_fallocate(descriptor.get(), 0, static_cast<off_t>(reserve_bytes))
                           : write_zeros(descriptor.get(), reserve_bytes);
    if (number != 0) {
      ::unlink(full.c_str());
      return os_failure(fmt::format("reserve {} bytes for", reserve_bytes), full, number);
    }
    spare_->prepare(reserve_bytes);
    return descriptor;
  }

  OpenFilePtr find(FileId file) const {
    const auto found = files_.find(file);
    return found == files_.end() ? nullptr : found->second;
  }

  void refuse(IoToken token, std::string_view doing) {
    refused_.push_back({token, Error{ErrorCode::io, fmt::format("cannot {} a file that is not open", doing), {}}});
  }

  std::string root_;
  Descriptor lock_;
  std::map<FileId, OpenFilePtr> files_;
  std::uint64_t last_file_ = 0;
  std::vector<IoCompletion> refused_;
  std::unique_ptr<SpareFile> spare_;  // none when opened for reading
  bool reserved_before_ = false;

  // A snapshot goes to the thread: its writing takes long even where a sync does not.
  static constexpr std::size_t inline_bytes_max = 4U << 10U;
  Begin begin_ = Begin::at_once;
  BlockWriter writer_;
  SyncPace pace_;
  std::vector<Operation> gathered_;
  std::size_t gathered_bytes_ = 0;
  std::vector<IoCompletion> done_here_;
  std::unique_ptr<IoThread> io_;  // none when opened for reading; last: it stops before the files close
};

Result<Descriptor> take_lock(const std::string& root) {
  const std::string path = root + "/LOCK";
  Descriptor lock = open_file(path, O_RDWR | O_CREAT, 0600);
  if (!lock.valid()) return os_failure("open", path, errno);
  if (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return os_failure("lock", path, errno);
    std::string holder(32, '\0');
    const ssize_t size = ::pread(lock.get(), holder.data(), holder.size(), 0);
    holder.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
    holder.erase(std::find_if_not(holder.begin(), holder.end(), [](char c) { return c >= '0' && c <= '9'; }),
                 holder.end());
    return fail(
        ErrorCode::refused,
        fmt::format("the data directory {} is in use by another process{}; stop that one first, or name another "
                    "directory",
                    root, holder.empty() ? "" : " (pid " + holder + ")"));
  }
  const std::string pid = fmt::format("{}\n", ::getpid());
  if (::ftruncate(lock.get(), 0) != 0) return os_failure("write to", path, errno);
  if (const int number = write_all(lock.get(), pid, 0); number != 0) return os_failure("write to", path, number);
  return lock;
}

}  // namespace

Result<std::unique_ptr<PosixDisk>> PosixDisk::open(const std::string& path, std::function<void()> wake, Begin begin) {
  std::error_code error;
  const bool existed = std::filesystem::is_directory(path, error);
  if (!existed) {
    std::filesystem::create_directories(path, error);
    if (error) return os_failure("create the data directory", path, error.value());
    std::filesystem::permissions(path, std::filesystem::perms::owner_all, error);
    // The name of the new folder must survive a crash too.
    const std::string parent = std::filesystem::absolute(path, error).lexically_normal().parent_path().string();
    const Descriptor above = open_file(parent, O_RDONLY | O_DIRECTORY);
    if (above.valid() && ::fsync(above.get()) != 0) return os_failure("sync the folder", parent, errno);
  }
  auto lock = take_lock(path);
  if (!lock) return fail(std::move(lock.error()));
  auto disk = std::make_unique<Posix>(path, std::move(*lock));
  disk->begin(std::move(wake), begin);
  return disk;
}

Result<std::unique_ptr<PosixDisk>> PosixDisk::open_for_reading(const std::string& path) {
  std::error_code error;
  if (!std::filesystem::is_directory(path, error)) {
    return fail(ErrorCode::not_found, fmt::format("there is no data directory at {}", path));
  }
  return std::make_unique<Posix>(path, Descriptor{});
}

}  // namespace assent
