#include "server/durable_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <system_error>
#include <utility>

namespace assent {

namespace {

tl::unexpected<Error> io_error(const std::string& path) {
  return fail(ErrorCode::io, fmt::format("cannot write {}: {}", path, std::system_category().message(errno)));
}

class Descriptor {
 public:
  Descriptor(const std::string& path, int flags) : number_(open(path.c_str(), flags | O_CLOEXEC, 0600)) {}
  ~Descriptor() {
    if (number_ >= 0) close(number_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  [[nodiscard]] int number() const { return number_; }

 private:
  int number_;
};

}  // namespace

Result<void> replace_file(const std::string& path, std::string_view text) {
  const std::string temporary = path + ".new";
  {
    const Descriptor file(temporary, O_WRONLY | O_CREAT | O_TRUNC);
    if (file.number() < 0 || write(file.number(), text.data(), text.size()) != static_cast<ssize_t>(text.size()) ||
        fdatasync(file.number()) != 0) {
      return io_error(temporary);
    }
  }
  if (std::rename(temporary.c_str(), path.c_str()) != 0) return io_error(path);
  const std::string folder = std::filesystem::path(path).parent_path().string();
  const Descriptor directory(folder.empty() ? "." : folder, O_RDONLY | O_DIRECTORY);
  if (directory.number() < 0 || fsync(directory.number()) != 0) return io_error(folder);
  return {};
}

Result<std::vector<std::string>> read_lines(const std::string& path) {
  std::vector<std::string> lines;
  std::ifstream file(path);
  if (!file.is_open()) {
    if (!std::filesystem::exists(path)) return lines;
    return fail(ErrorCode::io, fmt::format("cannot read {}", path));
  }
  for (std::string line; std::getline(file, line);) lines.push_back(std::move(line));
  return lines;
}

}  // namespace assent
