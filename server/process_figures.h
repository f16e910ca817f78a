// What the operating system says of this process (/proc/self), and what the data directory takes. From any thread.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "server/allocator.h"

namespace assent {

struct ProcessFigures {
  double cpu_seconds = 0;
  std::uint64_t resident_bytes = 0;
  AllocatorFigures allocator;
  std::uint64_t virtual_bytes = 0;
  std::uint64_t open_fds = 0;
  std::uint64_t max_fds = 0;  // 0: no limit
  std::uint64_t threads = 0;
  double start_time_seconds = 0;  // since 1970
};

// What cannot be read stays zero.
[[nodiscard]] ProcessFigures process_figures();

// Bytes of the files in each folder of the directory: "wal", "snapshots", "shards". Files come and go meanwhile.
[[nodiscard]] std::map<std::string, std::uint64_t> storage_bytes(const std::string& data_dir);

}  // namespace assent
