// The disk seam: everything of ours that must survive a crash goes through here. Implementations: posix (server/) and
// simulated (sim/). SQLite keeps its own files and is rebuilt from the log when they are lost.
//
// Writes and syncs are asynchronous and complete through poll(); they are started in the order of the calls. Everything
// else blocks and is for recovery, rotation and snapshots. Called from the loop's thread only. Paths are relative to
// the data directory, with '/' between parts and no "..".
//
// A completion with an error ends the process: after a failed fsync nobody knows what the disk holds, and it is never
// retried (Rebello et al., "Can Applications Recover from fsync Failures?", ATC 2020).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/result.h"

namespace assent {

using FileId = Id<struct FileTag>;
// Chosen by whoever starts the operation; the top byte names the owner, so that owners sharing a disk never collide.
using IoToken = Id<struct IoTokenTag>;
inline constexpr std::uint64_t wal_token_base = 1ULL << 56U;
inline constexpr std::uint64_t snapshot_token_base = 2ULL << 56U;

struct IoCompletion {
  IoToken token;
  std::optional<Error> error;
};

class Disk {
 public:
  virtual ~Disk() = default;

  // Opens for writing, creating the file with size bytes of zeros reserved when it does not exist. The name is durable
  // only after sync_directory() of its folder.
  [[nodiscard]] virtual Result<FileId> open(std::string_view path, std::uint64_t reserve_bytes) = 0;
  virtual void close(FileId file) = 0;

  virtual void write(FileId file, std::uint64_t offset, Bytes data, IoToken token) = 0;
  // Completes when every write to the file started before it is on the disk (fdatasync).
  virtual void sync(FileId file, IoToken token) = 0;
  // Both of the above at once, for disks to which that is cheaper.
  virtual void write_then_sync(FileId file, std::uint64_t offset, Bytes data, IoToken written, IoToken synced) {
    write(file, offset, std::move(data), written);
    sync(file, synced);
  }
  // Begins what write(), sync() and write_then_sync() were given, where a disk gathers it. True when it has finished
  // all of it before it returns, with no wake to follow: poll() knows. It does so only for a caller that has nothing
  // better to do.
  enum class Meanwhile : std::uint8_t { works, waits };
  [[nodiscard]] virtual bool start(Meanwhile) { return false; }
  // Writes and syncs before it returns. Blocks: for recovery and small files, never while batches are on their way.
  [[nodiscard]] virtual Result<void> write_durably(FileId file, std::uint64_t offset, Bytes data) = 0;
  // What finished since the last call, in order of completion. Never blocks.
  [[nodiscard]] virtual std::vector<IoCompletion> poll() = 0;

  // not_found when there is no such file.
  [[nodiscard]] virtual Result<Bytes> read(std::string_view path, std::uint64_t offset, std::uint64_t size) = 0;
  [[nodiscard]] virtual Result<std::uint64_t> size(std::string_view path) = 0;
  // Names of files and folders in a folder, ascending; empty when the folder does not exist.
  [[nodiscard]] virtual Result<std::vector<std::string>> list(std::string_view folder) = 0;
  [[nodiscard]] virtual Result<void> make_folder(std::string_view folder) = 0;
  // Cuts the file and syncs it; recovery uses it on a torn tail.
  [[nodiscard]] virtual Result<void> truncate(std::string_view path, std::uint64_t size) = 0;
  [[nodiscard]] virtual Result<void> rename(std::string_view from, std::string_view to) = 0;
  [[nodiscard]] virtual Result<void> remove(std::string_view path) = 0;
  [[nodiscard]] virtual Result<void> sync_directory(std::string_view folder) = 0;
};

}  // namespace assent
