// One transaction as a tree of bars, put together from what each node recorded of it: for the waterfall, for OTLP, and
// for the sentence that says where the time went.
//
// Pure functions of messages. Records may be missing (a node is away, a ring too small): what is there is shown. Clocks
// are shown as they are; a bar that lies outside its parent says so.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "assent/v1/observe.pb.h"

namespace assent {

// At least one record, all of one transaction.
[[nodiscard]] v1::TxnTrace make_trace(const std::vector<v1::TxnRecord>& records, std::int64_t now_unix_micros);

// The id of the span of a call to a participant, as make_trace() gives it: so that whoever is called can say to which
// span its own belong, before the tree is made. method: Prepare, Commit or Abort.
[[nodiscard]] std::string call_span_id(const std::string& txn, std::string_view method, std::string_view participant);

}  // namespace assent
