// A file of lines for independent checkers. Without a path nothing is written.
#pragma once

#include <fmt/format.h>

#include <fstream>
#include <string>
#include <string_view>

#include "base/result.h"

namespace assent::sim {

class LineFile {
 public:
  // An empty path: nothing will be written.
  [[nodiscard]] Result<void> open(const std::string& path) {
    if (path.empty()) return {};
    file_.open(path, std::ios::trunc);
    if (!file_) return fail(ErrorCode::io, fmt::format("the file {} cannot be written; name another place", path));
    on_ = true;
    return {};
  }
  [[nodiscard]] bool on() const { return on_; }
  void line(std::string_view text) {
    if (on_) file_ << text << '\n';
  }

 private:
  std::ofstream file_;
  bool on_ = false;
};

}  // namespace assent::sim
