// What was damaged and has been replaced: moved aside, not deleted, since it may tell why, and its place on the medium
// is not used again meanwhile. Bounded: the oldest go.
//
// Called from the loop's thread. Keeps nothing in memory. Bytes and names: docs/FORMATS.md section 7.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "storage/disk.h"

namespace assent {

inline constexpr std::string_view damaged_folder = "damaged";
inline constexpr std::uint64_t damaged_bytes_default = 64ULL << 20U;

// The file, which nobody needs any more, goes to the folder; the oldest there are removed until at most bytes_max are
// left, perhaps this one itself. Where it cannot be moved it is removed. io when that fails, too.
[[nodiscard]] Result<void> set_aside(Disk& disk, const std::string& path, std::uint64_t bytes_max);

}  // namespace assent
