// Puts right checksums into bytes that nobody wrote, so that what lies behind them is reached. After docs/FORMATS.md,
// and on purpose without the storage code's own words.
#pragma once

#include <cstdint>

#include "base/bytes.h"

namespace assent::fuzz {

inline constexpr std::uint64_t identity = 77;

// A segment of the write-ahead log: header, and each batch and record that can be walked to.
void repair_segment(Bytes& file, std::uint64_t number);
// A snapshot file.
void repair_snapshot(Bytes& file);

}  // namespace assent::fuzz
