// Writes what every client of a run did and heard to a file, as check/history.h says, so that `assentctl check history`
// and independent checkers can judge the run. Times are nanoseconds since the history began. Not thread-safe.
#pragma once

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "check/history.h"
#include "client/error.h"

namespace assent::bank {

using check::EventType;
using check::Micro;

class History {
 public:
  [[nodiscard]] static client::Result<History> create(const std::string& path);

  void write(EventType type, std::uint64_t process, const std::vector<Micro>& value);
  // Flushes; an Error when any line did not reach the file.
  [[nodiscard]] client::Result<bool> close();

 private:
  struct Closer {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  History(std::string path, std::FILE* file);

  std::string path_;
  std::unique_ptr<std::FILE, Closer> file_;
  std::chrono::steady_clock::time_point start_;
  bool failed_ = false;
};

}  // namespace assent::bank
