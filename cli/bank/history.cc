#include "cli/bank/history.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>

namespace assent::bank {

client::Result<History> History::create(const std::string& path) {
  std::FILE* file = std::fopen(path.c_str(), "w");
  if (file == nullptr) {
    return client::fail(client::ErrorCode::invalid,
                        fmt::format("cannot write the history to {}: {}", path, std::strerror(errno)));
  }
  return History(path, file);
}

History::History(std::string path, std::FILE* file)
    : path_(std::move(path)), file_(file), start_(std::chrono::steady_clock::now()) {
  std::setvbuf(file, nullptr, _IOFBF, 1U << 20U);
}

void History::write(EventType type, std::uint64_t process, const std::vector<Micro>& value) {
  const auto time = std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now() - start_);
  const std::string line = check::to_line({type, process, static_cast<std::uint64_t>(time.count()), {}, value}) + "\n";
  failed_ = std::fwrite(line.data(), 1, line.size(), file_.get()) != line.size() || failed_;
}

client::Result<bool> History::close() {
  failed_ = std::fflush(file_.get()) != 0 || failed_;
  file_.reset();
  if (failed_)
    return client::fail(client::ErrorCode::internal, "the history in " + path_ + " is not complete: a write failed");
  return true;
}

}  // namespace assent::bank
