// The bodies that the http port's actions take, as they are read: pure, and total: any bytes are a value or an error
// that says what the body should be. Also how a transaction is written as JSON, by the same mapping.
#pragma once

#include <google/protobuf/message.h>

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "assent/v1/assent.pb.h"
#include "base/result.h"

namespace assent {

// POST /api/v1/transactions: proto3's JSON.
[[nodiscard]] Result<v1::ExecuteRequest> read_execute_body(const std::string& body);
// POST /api/v1/groups/{group}/transfer-leader: the name of a node.
[[nodiscard]] Result<std::string> read_transfer_body(const std::string& body);

struct FaultsBody {
  std::vector<std::string> cut;  // names of nodes
  std::chrono::milliseconds sync_delay{0};
  bool recording = true;
};
// POST /api/v1/dev/faults.
[[nodiscard]] Result<FaultsBody> read_faults_body(const std::string& body);

// With the field names of the definition; nothing when it cannot be written.
[[nodiscard]] std::optional<std::string> write_json(const google::protobuf::Message& message);

}  // namespace assent
