// What the client knows of the cluster: which endpoints there are, which node each one is, which groups there are and
// who leads them. Learned from Status answers and from NOT_LEADER hints; judged by what failed.
//
// Not a cache with a lifetime: an entry is believed until an answer contradicts it. Holds no connection and makes no
// call. Safe from any thread.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "client/cluster.h"
#include "client/error.h"

namespace assent::client {

struct Target {
  std::string group;
  std::string node;
  std::string endpoint;
  bool operator==(const Target&) const = default;
};

struct LeaderHint {
  std::string group;
  std::string leader;    // a node's name
  std::string endpoint;  // may be empty
};

class Directory {
 public:
  explicit Directory(const std::vector<std::string>& seeds);

  // All there is to ask: what the user gave first, then what nodes told, one for each node.
  [[nodiscard]] std::vector<std::string> endpoints() const;
  // The believed leader, unless its endpoint failed since it last answered.
  [[nodiscard]] std::optional<Target> leader(const std::string& group) const;
  // Every group that is known has a believed leader that answers.
  [[nodiscard]] bool all_led() const;
  // The coordinator group of T; empty while none is known.
  [[nodiscard]] std::string coordinator_of(const TxnId& txn) const;
  [[nodiscard]] std::vector<std::string> shards() const;
  // The nodes that told that they carry the group, whose endpoints did not fail since they last answered.
  [[nodiscard]] std::vector<Target> replicas(const std::string& group) const;
  // The newest epoch of the cluster map that a node told.
  [[nodiscard]] std::uint64_t map_epoch() const;
  void heard_map_epoch(std::uint64_t epoch);

  void answered(const std::string& endpoint, const NodeStatus& status);
  void failed(const std::string& endpoint, const std::string& why);
  // The target said that it does not lead. True when the hint names somebody else who is not known to be failing.
  bool not_leading(const Target& target, const LeaderHint& hint);

  // Why there is nobody to ask for the group (empty: for a coordinator): not_found when every endpoint answered and
  // none knows it, unreachable when no endpoint answers, else no_leader.
  [[nodiscard]] Error nobody(const std::string& group) const;
  // Every endpoint answered and none has the group.
  [[nodiscard]] bool lacks(const std::string& group) const;
  [[nodiscard]] std::string name_of(const std::string& endpoint) const;
  [[nodiscard]] bool failing(const std::string& endpoint) const;

 private:
  struct Place {
    std::string node;     // empty until it told
    std::string trouble;  // empty: it answered last time it was asked
    bool asked = false;
    std::string said;
  };
  struct Group {
    std::string role;
    std::string leader;
    std::uint64_t epoch = 0;
    std::set<std::string> carriers;  // nodes
  };

  // These want the lock held.
  Place& place(const std::string& endpoint);
  [[nodiscard]] const std::string* endpoint_of(const std::string& node) const;
  [[nodiscard]] bool healthy(const std::string& endpoint) const;
  [[nodiscard]] bool group_missing(const std::string& group) const;
  void learn(const std::string& node, const ReplicaStatus& replica);

  mutable std::mutex mutex_;  // protects all below
  std::vector<std::string> order_;
  std::map<std::string, Place> places_;           // by endpoint
  std::map<std::string, std::string> addresses_;  // node name to the endpoint that is used for it
  std::map<std::string, Group> groups_;
  std::uint64_t map_epoch_ = 0;
};

}  // namespace assent::client
