// One transaction as a tree of bars, put together from what each node recorded of it: for the waterfall, for OTLP, and
// for the sentence that says where the time went.
//
// Pure functions of messages. Records may be missing (a node is away, a ring too small): what is there is shown. Clocks
// are shown as they are; a bar that lies outside its parent says so.
#pragma once

#include <cstdint>
#include <vector>

#include "assent/v1/observe.pb.h"

namespace assent {

// At least one record, all of one transaction.
[[nodiscard]] v1::TxnTrace make_trace(const std::vector<v1::TxnRecord>& records, std::int64_t now_unix_micros);

}  // namespace assent
