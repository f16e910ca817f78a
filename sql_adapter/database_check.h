// Reads a SQLite file from end to end and says what is wrong with it: pages that do not fit together, indexes that lack
// a row or have one too many, values that a constraint forbids. SQLite keeps no checksums, so a value that became
// another one of its kind is not noticed here; the replicas' digests tell.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/result.h"

namespace assent {

// What SQLite finds, in its words; empty: nothing. Its log (-wal) counts as part of the file. For a file that nobody
// has open. io, and corruption where it is no database at all.
[[nodiscard]] Result<std::vector<std::string>> check_database(const std::string& path);

// Told of bytes that were read, and now and then of none; may wait before it returns. False: stop.
using Pace = std::function<bool(std::uint64_t bytes)>;

// The same of a database that somebody else has open, in this process or another, and writes: reads the file piece by
// piece, so that what the medium does not give back any more is seen, and then looks at one table and its indexes after
// the other, each as it is at one instant. Writers do not wait for it; their log cannot be cut while a table is looked
// at. Not looked at: pages that belong to no table. Reads through SQLite alone: whoever else closes the file lets go of
// this process's locks on it. cancelled: the pace said so; busy: not now; not_found.
[[nodiscard]] Result<std::vector<std::string>> look_at_database(const std::string& path, const Pace& pace);

}  // namespace assent
