#include "server/incarnation.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <fstream>
#include <system_error>

namespace assent {

namespace {

constexpr std::uint64_t incarnation_max = 1ULL << 62U;

// Zero when there is none; what cannot be read counts as none, since the clock alone is nearly always right.
std::uint64_t last_incarnation(const std::string& path) {
  std::ifstream file(path);
  std::string text;
  std::getline(file, text);
  std::uint64_t number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return std::min(number, incarnation_max);
}

tl::unexpected<Error> io_error(const std::string& path) {
  return fail(ErrorCode::io, fmt::format("cannot write {}: {}", path, std::system_category().message(errno)));
}

}  // namespace

Result<std::uint64_t> next_incarnation(const std::string& data_dir, std::uint64_t now_micros) {
  const std::string path = data_dir + "/INCARNATION";
  const std::string temporary = path + ".new";
  const std::uint64_t next = std::max(now_micros, last_incarnation(path) + 1);
  const std::string text = fmt::format("{}\n", next);
  const int file = open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (file < 0) return io_error(temporary);
  const bool written =
      write(file, text.data(), text.size()) == static_cast<ssize_t>(text.size()) && fdatasync(file) == 0;
  if (!written) {
    const auto error = io_error(temporary);
    close(file);
    return error;
  }
  close(file);
  // The folder is synced with the next file that the log makes in it; losing the name only falls back to the clock.
  if (std::rename(temporary.c_str(), path.c_str()) != 0) return io_error(path);
  return next;
}

}  // namespace assent
