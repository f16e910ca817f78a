// A disk in memory for the simulator and the storage tests: deterministic, seeded, with virtual time, and as unkind as
// real ones. It holds for each file what is on the platter and what the operating system shows; they differ by what was
// not synced.
//
// Single-threaded. Nothing completes by itself: the owner calls advance() up to next_completion(), then the user of the
// disk polls. With all latencies zero an operation completes at the poll() after it. Outlives the processes that use
// it: crash() ends a process, and the next one opens the same disk.
//
// What it can do to you, all drawn from its own generator:
//   power loss: each sector of each unsynced write is kept, lost or torn; each unsynced directory operation is kept or
//   lost
//     (none of two on the same name out of order); unsynced lengths are lost
//   process crash: what was handed in is written up to some point; all that was written stays readable, unsynced
//   failed sync: what it should have made durable is readable but never reaches the platter by a later sync (ATC 2020)
//   full disk: open, write and make_folder fail with io
//   bit rot: any byte, on platter and in memory; or one bit on its way to the reader
//   power cut at the n-th operation, for tests that loop over all of them
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/rng.h"
#include "storage/disk.h"

namespace assent {

struct SimDiskOptions {
  std::uint64_t write_micros_min = 0;
  std::uint64_t write_micros_max = 0;
  std::uint64_t sync_micros_min = 0;
  std::uint64_t sync_micros_max = 0;
  double sync_error_chance = 0;  // each sync, blocking ones included
  double read_error_chance = 0;  // each read
  double quick_chance = 0;       // each start(): all that is on its way is finished before it returns
  double keep_chance = 0.5;      // at power loss: an unsynced sector, or directory operation, that made it
  double tear_chance = 0.1;      // at power loss: an unsynced sector that is half old and half new, or garbage
  std::uint64_t sector_bytes = 512;
  std::uint64_t capacity_bytes = std::numeric_limits<std::uint64_t>::max();
};

enum class CrashKind { process, power };

class SimDisk final : public Disk {
 public:
  explicit SimDisk(std::uint64_t seed, SimDiskOptions options = {});

  // ---- time ----
  void advance(std::uint64_t now_micros);
  // When the next operation finishes; nullopt when none is on its way. May be at or before now: poll() has something.
  [[nodiscard]] std::optional<std::uint64_t> next_completion() const;
  // Called when poll() got something new, during advance() and write()/sync(); may be empty. Must not call back.
  void on_completion(std::function<void()> wake) { wake_ = std::move(wake); }

  bool start(Meanwhile meanwhile) override;

  // ---- faults ----
  // The process using the disk is gone: its files are closed and its operations never complete.
  void crash(CrashKind kind);
  void set_options(const SimDiskOptions& options) { options_ = options; }
  [[nodiscard]] const SimDiskOptions& options() const { return options_; }
  void fail_next_sync() { fail_syncs_ = 1; }
  void fail_next_write() { fail_writes_ = 1; }
  void fail_next_read() { fail_reads_ = 1; }
  // One bit of what is read next from a file whose name begins so is not what stands there.
  void garble_next_read(std::string prefix) { garbled_ = std::move(prefix); }
  // No read of the file succeeds from now on, as where its medium has gone bad. False when there is no such file.
  bool spoil(std::string_view path);
  [[nodiscard]] bool has_spoiled() const;  // a file under any name
  // Takes back failures that were asked for and have not happened yet.
  void forgive() {
    fail_syncs_ = fail_writes_ = fail_reads_ = 0;
    garbled_.reset();
  }
  // After n more operations that change something the power is off: everything fails, until crash(power).
  void cut_power_after(std::uint64_t n) { operations_left_ = n; }
  [[nodiscard]] bool power_is_off() const { return operations_left_ == 0; }
  // Operations that change something, so far.
  [[nodiscard]] std::uint64_t operations() const { return operations_; }
  // Flips the bits of mask in one byte, in memory and on the platter. False when there is no such byte.
  bool rot(std::string_view path, std::uint64_t offset, std::uint8_t mask);
  // Flips one bit somewhere in the written part of a file whose name begins with prefix; its place, or nullopt.
  std::optional<std::pair<std::string, std::uint64_t>> rot_somewhere(std::string_view prefix);
  // Damage that whoever reads it can know for damage: in any file, but before what was last written to it, because the
  // end of a log that is not whole looks like one that a crash cut off. The place, or nullopt when there is none.
  std::optional<std::pair<std::string, std::uint64_t>> rot_at_rest();
  // ... of the same kind: an aligned block becomes one of the other disk, as when a write or a read goes to the wrong
  // place. One that is alike, wherever it stands, if there is any; else what is there in the file of the same name.
  using Alike = std::function<bool(ByteView mine, ByteView theirs)>;
  std::optional<std::pair<std::string, std::uint64_t>> take_block_of(const SimDisk& other, const Alike& alike = {});
  // Everything is gone, as with a new disk. Keeps the generator and the time.
  void wipe();

  // ---- looking ----
  // What a process would read now, without the reserved zeros at the end. not_found is nullopt.
  [[nodiscard]] std::optional<Bytes> contents(std::string_view path) const;
  // Puts a file there, durable. For tests that bring their own bytes.
  void put(std::string_view path, Bytes bytes);
  [[nodiscard]] std::vector<std::string> paths() const;
  [[nodiscard]] std::uint64_t used_bytes() const;
  // Equal for equal histories.
  [[nodiscard]] std::uint64_t digest() const;

  // ---- without waiting, for who is not the loop (sim_vfs.h): done when they return, in the order of the calls ----
  // powersafe: a power loss may tear the write, but spoils no byte beside it (SQLITE_IOCAP_POWERSAFE_OVERWRITE).
  Result<void> write_at_once(FileId file, std::uint64_t offset, Bytes data, bool powersafe = false);
  Result<void> sync_at_once(FileId file);

  // ---- Disk ----
  Result<FileId> open(std::string_view path, std::uint64_t reserve_bytes) override;
  void close(FileId file) override;
  void write(FileId file, std::uint64_t offset, Bytes data, IoToken token) override;
  void sync(FileId file, IoToken token) override;
  Result<void> write_durably(FileId file, std::uint64_t offset, Bytes data) override;
  std::vector<IoCompletion> poll() override;
  Result<Bytes> read(std::string_view path, std::uint64_t offset, std::uint64_t size) override;
  Result<std::uint64_t> size(std::string_view path) override;
  Result<std::vector<std::string>> list(std::string_view folder) override;
  Result<void> make_folder(std::string_view folder) override;
  Result<void> truncate(std::string_view path, std::uint64_t size) override;
  Result<void> rename(std::string_view from, std::string_view to) override;
  Result<void> remove(std::string_view path) override;
  Result<void> sync_directory(std::string_view folder) override;

 private:
  struct Pending {
    std::uint64_t offset = 0;
    Bytes data;
    bool forsaken = false;  // a failed sync: no later one takes it along
    bool powersafe = false;
  };
  struct File {
    Bytes platter;
    Bytes memory;
    std::uint64_t reserved = 0;
    std::uint64_t reserved_platter = 0;
    std::uint64_t last_write = 0;
    std::uint64_t last_durable_write = 0;
    bool spoiled = false;
    std::deque<Pending> pending;  // in memory, not on the platter
    [[nodiscard]] std::uint64_t size() const { return std::max<std::uint64_t>(memory.size(), reserved); }
  };
  using FilePtr = std::shared_ptr<File>;
  using Names = std::map<std::string, FilePtr, std::less<>>;  // a folder has no file

  struct DirectoryOperation {
    enum class Kind { create, make_folder, rename, remove };
    Kind kind = Kind::create;
    std::string folder;
    std::string name;
    std::string to;
    FilePtr file;
  };
  struct Operation {
    FilePtr file;
    bool is_sync = false;
    std::uint64_t offset = 0;
    Bytes data;
    IoToken token;
    std::uint64_t finishes = 0;
    bool fails = false;
  };

  bool spend_operation();
  [[nodiscard]] bool has_room(const File& file, std::uint64_t end) const;
  void enqueue(Operation operation, std::uint64_t micros_min, std::uint64_t micros_max);
  void finish_due();
  void finish(Operation operation);
  void make_durable(File& file);
  void forsake(File& file);
  static void apply_write(Bytes& image, std::uint64_t offset, ByteView data);
  static void apply_directory_operation(Names& names, const DirectoryOperation& operation);
  void lose_writes(File& file, const std::vector<Pending>& in_flight);
  void lose_directory_operations();
  [[nodiscard]] std::vector<std::string> damageable(std::uint64_t bytes) const;
  [[nodiscard]] static std::uint64_t damageable_bytes(std::string_view name, const File& file);
  struct Swap {
    std::string mine;
    std::uint64_t offset = 0;
    FilePtr theirs;
    std::uint64_t from = 0;
  };
  [[nodiscard]] std::vector<Swap> blocks_in_the_same_place(const SimDisk& other) const;
  [[nodiscard]] std::vector<Swap> alike_blocks(const SimDisk& other, const Alike& alike) const;
  FilePtr find(std::string_view path) const;
  FilePtr find(FileId file) const;

  Rng rng_;
  SimDiskOptions options_;
  std::uint64_t now_ = 0;
  Names names_;          // as a process sees them
  Names names_platter_;  // as they are after a power loss
  std::vector<DirectoryOperation> directory_pending_;
  std::map<FileId, FilePtr> open_;
  std::uint64_t last_file_ = 0;
  std::deque<Operation> queue_;
  std::vector<IoCompletion> done_;
  std::function<void()> wake_;
  std::uint64_t operations_ = 0;
  std::uint64_t operations_left_ = std::numeric_limits<std::uint64_t>::max();
  int fail_syncs_ = 0;
  int fail_writes_ = 0;
  int fail_reads_ = 0;
  std::optional<std::string> garbled_;
};

}  // namespace assent
