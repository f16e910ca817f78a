// Reads a SQLite file from end to end and says what is wrong with it: pages that do not fit together, indexes that lack
// a row or have one too many, values that a constraint forbids. SQLite keeps no checksums, so a value that became
// another one of its kind is not noticed here; the replicas' digests tell.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"

namespace assent {

// What SQLite finds, in its words; empty: nothing. Its log (-wal) counts as part of the file. For a file that nobody
// has open. io, and corruption where it is no database at all.
[[nodiscard]] Result<std::vector<std::string>> check_database(const std::string& path);

}  // namespace assent
