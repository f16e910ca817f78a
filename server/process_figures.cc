#include "server/process_figures.h"

#include <sys/resource.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <system_error>
#include <vector>

namespace assent {
namespace {

std::string first_line_of(const char* path) {
  std::ifstream in(path);
  std::string line;
  std::getline(in, line);
  return line;
}

double boot_time() {
  std::ifstream in("/proc/stat");
  std::string word;
  while (in >> word) {
    double seconds = 0;
    if (word == "btime" && in >> seconds) return seconds;
  }
  return 0;
}

// proc(5): the fields behind the command's name, which may hold anything, in brackets.
void read_stat(ProcessFigures& figures) {
  const std::string line = first_line_of("/proc/self/stat");
  const std::size_t name_end = line.rfind(')');
  if (name_end == std::string::npos) return;
  std::istringstream fields(line.substr(name_end + 1));
  std::string word;
  constexpr int first_field = 3;
  const auto ticks = static_cast<double>(sysconf(_SC_CLK_TCK));
  for (int field = first_field; fields >> word; ++field) {
    const double value = field == first_field ? 0 : std::strtod(word.c_str(), nullptr);
    switch (field) {
      case 14:
      case 15: figures.cpu_seconds += value / ticks; break;
      case 20: figures.threads = static_cast<std::uint64_t>(value); break;
      case 22: figures.start_time_seconds = boot_time() + value / ticks; break;
      case 23: figures.virtual_bytes = static_cast<std::uint64_t>(value); break;
      case 24:
        figures.resident_bytes = static_cast<std::uint64_t>(value) * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
        return;
      default: break;
    }
  }
}

}  // namespace

ProcessFigures process_figures() {
  ProcessFigures figures;
  figures.allocator = allocator_figures();
  read_stat(figures);
  std::error_code error;
  for (auto it = std::filesystem::directory_iterator("/proc/self/fd", error);
       !error && it != std::filesystem::directory_iterator(); it.increment(error)) {
    ++figures.open_fds;
  }
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY) figures.max_fds = limit.rlim_cur;
  return figures;
}

std::map<std::string, std::uint64_t> storage_bytes(const std::string& data_dir) {
  namespace fs = std::filesystem;
  std::map<std::string, std::uint64_t> bytes;
  std::vector<fs::path> places{data_dir};
  std::error_code none;
  for (auto it = fs::directory_iterator(fs::path(data_dir) / "loops", none); !none && it != fs::directory_iterator();
       it.increment(none)) {
    places.push_back(it->path());
  }
  for (const char* folder : {"wal", "snapshots", "shards"}) {
    std::uint64_t& sum = bytes[folder];
    for (const fs::path& place : places) {
      std::error_code error;
      for (auto it = fs::directory_iterator(place / folder, error); !error && it != fs::directory_iterator();
           it.increment(error)) {
        std::error_code gone;
        const std::uintmax_t size = it->file_size(gone);
        if (!gone) sum += size;
      }
    }
  }
  return bytes;
}

}  // namespace assent
