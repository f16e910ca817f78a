// What the nodes say of themselves and of the groups, as plain values, and the merge of their answers into one picture.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace assent::client {

struct NodeAddress {
  std::string name;
  std::string client_endpoint;  // empty when the asked node does not know it
  std::string peer_endpoint;
};

struct NodeCounters {
  std::uint64_t wal_syncs = 0;
  std::uint64_t wal_bytes = 0;
  std::uint64_t wal_records = 0;
  std::uint64_t frames_sent = 0;
  std::uint64_t frame_bytes_sent = 0;
  std::uint64_t cpu_micros = 0;
  std::uint64_t resident_bytes = 0;
};

// A node with the disk that it has: one that lost its disk is another member.
struct MemberView {
  std::string node;
  std::uint64_t disk = 0;         // 0: the one that the node founded its groups with
  std::string role;               // voter, learner; while several voters change: incoming, outgoing
  std::uint64_t match_index = 0;  // at the leader: how far its log is known to be the leader's
  bool active = false;            // at the leader: it has answered lately
};

struct MemberChange {
  std::string action;  // learner (new, or a voter that is to vote no more), voter (a learner that caught up), remove
  std::string node;
  std::uint64_t disk = 0;
};

// One replica of one group, as its own node sees it.
struct ReplicaStatus {
  std::string group;
  std::string role;                  // coordinator, shard
  std::vector<std::string> members;  // the nodes that vote
  std::vector<MemberView> membership;
  bool membership_committed = false;
  std::string leader;  // empty: not known
  bool leads = false;  // this node leads and is ready
  std::uint64_t epoch = 0;
  std::uint64_t last_index = 0;
  std::uint64_t committed_index = 0;
  std::uint64_t applied_index = 0;
  std::uint64_t snapshot_index = 0;
  std::uint64_t prepared = 0;
  std::uint64_t locks = 0;
  std::uint64_t active = 0;
  std::uint64_t records = 0;
  std::uint64_t oldest_prepared_age_millis = 0;
  std::uint64_t heuristics = 0;         // what operators forced on a shard and did not forget yet
  std::uint64_t heuristic_commits = 0;  // ever since the group began, as the next
  std::uint64_t heuristic_aborts = 0;
  std::uint64_t heuristics_forgotten = 0;
  std::string digest;
  std::vector<std::string> active_peers;
  std::string halted;       // what it met in the log that its program does not know; empty: nothing
  std::uint32_t level = 0;  // the lowest protocol level that a member uses, as far as this node was told
  std::string damaged;      // entries of its log that were damaged and are not replaced yet; empty: none
};

// One node's answer.
struct NodeStatus {
  std::string node;
  std::string version;
  std::vector<NodeAddress> nodes;
  std::vector<ReplicaStatus> replicas;
  NodeCounters counters;
  std::uint64_t disk = 0;                    // see MemberView
  std::uint64_t map_epoch = 0;               // of the cluster map that it goes by
  std::uint32_t level = 0;                   // of the program's protocol
  std::uint32_t uses_level = 0;              // no more than that, for as long as it was told so
  std::optional<ReplicaStatus> map_replica;  // of the group that keeps the map
  std::vector<std::string> damaged_files;    // found by its scrubber, not replaced yet, each with what is wrong
};

struct NodeView {
  std::string name;      // empty when an endpoint never told
  std::string endpoint;  // that was asked
  bool reachable = false;
  std::string trouble;  // why not
  std::string version;
  NodeCounters counters;
  std::uint64_t disk = 0;
  std::uint64_t map_epoch = 0;
  std::uint32_t level = 0;
  std::uint32_t uses_level = 0;
  std::vector<std::string> damaged_files;
};

struct GroupView {
  struct Replica {
    std::string node;
    ReplicaStatus status;
  };
  std::string name;
  std::string role;
  std::vector<std::string> members;  // the nodes that vote, as the leader or else the newest replica says
  std::string leader;                // a node that says it leads, of the highest epoch; empty: none does
  std::uint64_t epoch = 0;           // the highest that a replica knows
  std::vector<Replica> replicas;     // of the nodes that answered, by name

  [[nodiscard]] const ReplicaStatus* leader_status() const;
  [[nodiscard]] const ReplicaStatus* replica_on(std::string_view node) const;
  // The leader's, or else the newest that there is; null without any.
  [[nodiscard]] const ReplicaStatus* best_status() const;
};

struct ClusterStatus {
  std::vector<NodeView> nodes;         // by name
  std::vector<GroupView> groups;       // coordinators first, then by name
  std::optional<GroupView> map_group;  // keeps the cluster map, and is not among the groups

  [[nodiscard]] std::uint64_t map_epoch() const;  // the newest that a node goes by
  // Of the groups, or the one that keeps the map.
  [[nodiscard]] const GroupView* group(std::string_view name) const;
  [[nodiscard]] const NodeView* node(std::string_view name) const;
  [[nodiscard]] std::vector<std::string> shards() const;
  [[nodiscard]] std::vector<std::string> coordinators() const;
};

// What one endpoint answered, or why it did not.
struct NodeAnswer {
  std::string endpoint;
  std::string name;  // known from earlier, when it did not answer now
  std::optional<NodeStatus> status;
  std::string trouble;
};
[[nodiscard]] ClusterStatus merge(std::vector<NodeAnswer> answers);

}  // namespace assent::client
