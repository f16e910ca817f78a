// SQLite's files on a simulated disk: a sqlite3_vfs, so that SQLite's own pages and log frames are torn and lost by a
// power loss, its reads and syncs fail, and its disk is full, as those of everything else on that disk.
//
// It is what SQLite's own "unix" VFS is to a kernel: write and truncate are seen by every later read and safe from a
// process crash, only sync makes them safe from a power loss; the name of a new log is made durable with the log's
// first sync. It promises no more than that one does (SQLITE_IOCAP_POWERSAFE_OVERWRITE). Locks are granted to everybody
// and shared memory is ordinary memory: a store has one connection (sql_adapter/sqlite_store.h).
//
// A process that dies does not tidy up, and SQLite's destructors would: between cut() and mend() every call fails and
// changes nothing. Single-threaded; latencies of the disk do not count here. Outlives its connections.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "base/rng.h"
#include "sim/sim_disk.h"

struct sqlite3_vfs;

namespace assent {

class SimVfs {
 public:
  SimVfs(SimDisk& disk, std::uint64_t seed);
  ~SimVfs();
  SimVfs(const SimVfs&) = delete;
  SimVfs& operator=(const SimVfs&) = delete;

  // By which SQLite knows it (SqliteOptions::vfs); no two alive have the same.
  [[nodiscard]] const std::string& name() const { return name_; }

  void cut() { cut_ = true; }
  void mend() { cut_ = false; }
  [[nodiscard]] bool is_cut() const { return cut_; }

  // What SQLite asked for, so far.
  struct Counters {
    std::uint64_t reads = 0;
    std::uint64_t writes = 0;
    std::uint64_t syncs = 0;
    std::uint64_t errors = 0;  // told to SQLite, but for those after cut()
  };
  [[nodiscard]] const Counters& counters() const { return counters_; }

  // For the functions that SQLite calls.
  [[nodiscard]] SimDisk& disk() { return disk_; }
  [[nodiscard]] Rng& rng() { return rng_; }
  [[nodiscard]] Counters& counters() { return counters_; }

 private:
  SimDisk& disk_;
  Rng rng_;
  std::string name_;
  std::unique_ptr<sqlite3_vfs> vfs_;
  Counters counters_;
  bool cut_ = false;
};

}  // namespace assent
