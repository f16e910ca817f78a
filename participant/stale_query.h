// What a replica of a shard answers from its own applied state, whether it leads or not: the half of a stale read that
// is about transactions. Pure; called from the loop's thread.
//
// How old the state is at most, a read point says of the log (consensus/raft/raft_read_points.cc): whatever was told to
// be committed longer ago stands in the log up to its index, which is applied. That is enough for a transaction that is
// finished here. One that is prepared may be committed and told although the rows still show the time before: so a
// query waits while a prepared transaction holds what it reads. Then nothing is missing that was told before the point,
// and what is read is a state that was: had it a transaction's rows, and lacked those of an earlier one that it depends
// on, the earlier one would have been prepared here before the later one was finished, and would be in the way.
//
// A leader can also keep new writers out while a query waits (Caretaker::query); a replica cannot, so where the same
// rows are written without a pause a stale read may wait in vain.
#pragma once

#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "participant/shard.h"
#include "participant/store.h"
#include "txn_proto/types.h"

namespace assent {

// in_the_way: the prepared transactions that hold what it reads; while there are any, the answer is not to be told.
// Error: malformed or refused, as of a Query.
[[nodiscard]] Result<QueryAnswer> query_stale(const Shard& shard, ResourceManager& resources, const Work& work,
                                              std::vector<TxnId>& in_the_way);

}  // namespace assent
