// `assentd inspect DIR`: storage/inspect.h with the names of groups and the words of commands filled in.
#pragma once

#include <cstddef>
#include <string>

#include "base/result.h"
#include "storage/inspect.h"

namespace assent {

// Reads only; works on a copied directory as well. Errors: not_found when there is no such folder, io.
[[nodiscard]] Result<Inspection> inspect_directory(const std::string& path, std::size_t entries_max);

// One committed or pending command in words, as a log entry's payload holds it.
[[nodiscard]] std::string describe_map_command(std::string_view payload);
[[nodiscard]] std::string describe_coordinator_command(std::string_view payload);
[[nodiscard]] std::string describe_shard_command(std::string_view payload);

}  // namespace assent
