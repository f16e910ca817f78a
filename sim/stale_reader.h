// Somebody who only looks on: asks any node, now and then, for stale reads of what clients lately asked for, and judges
// each answer by what the world knows and no node does.
//
//   S1 bound     an answer says an age, no greater than what was asked for
//   S2 age       it reflects every command that any replica had applied longer ago than that, in true time
//   S3 hidden    no transaction that holds what was read, and is only prepared there, was told committed longer ago
//
// (That what it reflects is a state that was, the digests of replicas at equal indices say, and S2 which one.)
//
// It sends nothing over the network and draws from a stream of its own. An age counts back from the moment of the
// reading, which is between the request and its answer: a reply leaves with its loop's next batch.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "base/ids.h"
#include "base/rng.h"
#include "sim/process.h"
#include "sim/recorder.h"
#include "sim/schedule.h"
#include "txn_proto/types.h"

namespace assent::sim {

class StaleReader {
 public:
  using Processes = std::map<NodeId, std::unique_ptr<Process>>;

  StaleReader(Micros gap, const Rng& rng, Schedule& schedule, Recorder& recorder, Processes& processes,
              std::vector<GroupId> shards)
      : gap_(gap),
        rng_(rng),
        schedule_(schedule),
        recorder_(recorder),
        processes_(processes),
        shards_(std::move(shards)) {}

  void begin();
  void end() { over_ = true; }

  // ---- what happens ----
  void saw(GroupId group, const ClientBody& body);  // a client asks
  void applied(GroupId group, Index command);       // by any replica; answers are as of a command
  void told(const TxnId& txn);                      // committed, to any client
  void went_down(NodeId node);

  void read(NodeId node, GroupId group, const Query& query);

  [[nodiscard]] bool asked(RequestId id) const { return id.value > first_id; }
  void heard(Process& process, const ClientReply& reply);
  [[nodiscard]] std::size_t waiting() const { return waiting_.size(); }

 private:
  static constexpr std::uint64_t first_id = 1ULL << 48U;  // apart from those of clients
  struct Waiting {
    NodeId node;
    GroupId shard;
    Query query;
    std::optional<Micros> read_at = std::nullopt;  // at the earliest
  };
  struct Progress {
    Micros at = 0;
    Index index;
  };

  void ask();
  [[nodiscard]] Index applied_before(GroupId group, Micros moment) const;
  void judge(Process& process, const Waiting& read, const QueryAnswer& answer);
  void judge_hidden(Process& process, const Waiting& read, Micros moment);

  Micros gap_;
  Rng rng_;
  Schedule& schedule_;
  Recorder& recorder_;
  Processes& processes_;
  std::vector<GroupId> shards_;
  bool over_ = false;
  std::uint64_t last_id_ = first_id;
  std::map<RequestId, Waiting> waiting_;
  std::map<GroupId, std::deque<Work>> seen_;  // what clients asked for last
  std::map<GroupId, std::vector<Progress>> progress_;
  std::map<TxnId, Micros> told_;  // when first
};

}  // namespace assent::sim
