// A number that grows with each start of a node, kept in its data directory: peers drop what an earlier life of it
// sent. The wall clock alone will not do, since it may be set back.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"

namespace assent {

struct Incarnation {
  std::uint64_t now = 0;
  std::uint64_t previous = 0;  // 0: this is the first start on this disk
};

// The greater of now and one more than the last. The data directory must exist and be locked by this process. io.
[[nodiscard]] Result<Incarnation> next_incarnation(const std::string& data_dir, std::uint64_t now_micros);

}  // namespace assent
