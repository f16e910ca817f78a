// Answers as JSON documents: for a program, with stable names. Ids and 64-bit integers are strings, for JSON readers
// round them otherwise; figures of a benchmark are plain numbers.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "cli/bank/run.h"
#include "client/cluster.h"
#include "client/error.h"
#include "client/transaction.h"

namespace assent::cli {

using Json = nlohmann::ordered_json;

// null, "5" (an integer), 5.5 (a real), "text", {"blob":"00ff"}
[[nodiscard]] Json to_json(const SqlValue& value);
[[nodiscard]] Json to_json(const OperationResult& result);
[[nodiscard]] Json to_json(const client::TxnOutcome& outcome);
[[nodiscard]] Json to_json(const client::QueryResult& result, const std::string& shard);
[[nodiscard]] Json to_json(const client::ClusterStatus& status);
[[nodiscard]] Json to_json(const std::vector<client::MemberView>& membership);
[[nodiscard]] Json to_json(const client::Error& error);  // {"error":{...}}
[[nodiscard]] Json to_json(const bank::Report& report, std::uint32_t clients);
// Exactly what scripts/demo.sh promises as its last line.
[[nodiscard]] Json demo_json(const bank::Report& report, std::uint64_t leader_kills);

// One line; bytes that are no UTF-8 become U+FFFD, for JSON is text.
[[nodiscard]] std::string line_of(const Json& document);
[[nodiscard]] std::string pretty(const Json& document);

[[nodiscard]] std::string state_name(TxnState state);  // COMMITTED
[[nodiscard]] std::string hex_of(std::string_view bytes);
[[nodiscard]] std::string time_of(ClusterMillis time);  // 2026-11-20T21:58:03.114Z

// "ok", "degraded: 2/3" or "no leader"
[[nodiscard]] std::string health_of(const client::GroupView& group, const client::ClusterStatus& status);

}  // namespace assent::cli
