// From what the recorder keeps (observe/txn_record.h) to the messages of observe.proto: numbers become names, a node's
// monotonic clock becomes the wall's. Pure.
#pragma once

#include <vector>

#include "assent/v1/observe.pb.h"
#include "observe/event_log.h"
#include "observe/txn_record.h"
#include "txn_proto/names.h"

namespace assent {

struct RecordNames {
  const GroupDirectory& groups;
  std::string_view node;  // who recorded it
};

// now: of the monotonic clock that the record's steps are in.
[[nodiscard]] v1::TxnSummary summary_to_api(const TxnRecord& record, const RecordNames& names, std::uint64_t now);
// Where the time went at the group that answered the client; empty: its beginning was not seen here.
[[nodiscard]] std::vector<v1::TxnPhase> phases_to_api(const TxnRecord& record, std::uint64_t now);
[[nodiscard]] v1::TxnRecord record_to_api(const TxnRecord& record, const RecordNames& names, std::uint64_t now);
[[nodiscard]] v1::NodeEvent event_to_api(const NodeEvent& event, std::string_view node);

}  // namespace assent
