// Between the client's plain structs and the protobuf messages of assent.v1. Total: an answer that makes no sense gives
// values that say so (unknown states, missing ids), never a crash. The operations and values inside are the business of
// txn_proto/api_codec.h; what is added here is that shards go by name.
#pragma once

#include "assent/v1/assent.pb.h"
#include "client/cluster.h"
#include "client/transaction.h"

namespace assent::client {

[[nodiscard]] v1::ExecuteRequest encode(const Transaction& transaction);  // without the timeout
void encode_work(const Work& work, google::protobuf::RepeatedPtrField<v1::Operation>& out);

[[nodiscard]] TxnOutcome decode(const v1::Transaction& message);
[[nodiscard]] QueryResult decode(const v1::QueryResponse& message);
[[nodiscard]] NodeStatus decode(const v1::StatusResponse& message);

}  // namespace assent::client
