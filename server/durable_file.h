// A small file that is replaced as a whole, and is there after a power loss.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace assent {

// Written beside it, synced, renamed, and its folder synced. io; what was there before then stays.
[[nodiscard]] Result<void> replace_file(const std::string& path, std::string_view text);

// The lines of a small text file, without their ends; none when it is not there. io.
[[nodiscard]] Result<std::vector<std::string>> read_lines(const std::string& path);

}  // namespace assent
