// One line of plain words for each command, message and answer, for counterexamples, transcripts and failure messages.
#pragma once

#include <map>
#include <string>

#include "txn_proto/commands.h"
#include "txn_proto/types.h"

namespace assent::explore {

inline constexpr GroupId coordinator_group{9};  // in models and in tests; shards have smaller numbers

// Gives transactions the names that a transcript uses; others are printed in hex.
struct Names {
  std::map<TxnId, std::string> txns;
  [[nodiscard]] std::string of(const TxnId& txn) const;
  [[nodiscard]] static std::string of(GroupId group);
};

[[nodiscard]] std::string describe(const Names& names, const TxnMessage& message);
[[nodiscard]] std::string describe(const Names& names, const CoordinatorCommand& command);
[[nodiscard]] std::string describe(const Names& names, const ShardCommand& command);
[[nodiscard]] std::string describe(const Names& names, const ClientReply& reply);
[[nodiscard]] std::string describe(const WorkResult& result);  // its rows

}  // namespace assent::explore
