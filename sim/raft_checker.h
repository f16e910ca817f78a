// Judges a Raft core by what it says and does (dissertation, by section), as soon as it does it:
//
//   R1 votes       a node grants one candidate an epoch, itself included, in all its lives together (3.4)
//   R6 promises    term, vote and entries are durable before a message leaves that depends on them (3.8)
//   R3 old terms   a leader commits by counting only entries of its own term (3.6.2)
//   9.6 pre-votes  nobody campaigns without the pre-votes of a majority, unless its leader asked it to
//   rebuilt        a core that is rebuilt knows the term and the vote that were durable
//   L9 sleep       a leader sleeps only when each member has its whole log durably, and none of it is uncommitted
//
// A promise is judged when it is given, and again when it arrives, which also catches a host that let it go too early.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <set>
#include <tuple>

#include "consensus/raft/messages.h"
#include "sim/durability_checker.h"
#include "sim/recorder.h"
#include "sim/watched_log.h"

namespace assent::sim {

class RaftChecker final : public LogWatcher {
 public:
  RaftChecker(Recorder& recorder, const DurabilityChecker& durability) : recorder_(recorder), durability_(durability) {}

  void built(const Replica& at, const LogSetup& setup, const ReplicatedLog& log) override;
  void received(const Replica& at, NodeId from, ByteView message, const ReplicatedLog& log) override;
  void gave(const Replica& at, const Output& output, const ReplicatedLog& log) override;
  void synced(const Replica& at, std::uint64_t output_number, const ReplicatedLog& log) override;

 private:
  struct Said {
    GroupId group;
    Member from;
    Member to;
    raft::Message message;
    Membership members;  // of a vote request: in force when it was made
  };
  struct Commit {
    Epoch leads;  // none: it does not lead
    Index index;
  };
  // What leaves once its output is durable; a crash before that takes it away unsaid.
  struct Parked {
    std::uint64_t number = 0;
    Said said;
  };
  using Campaign = std::tuple<GroupId, Member, Epoch>;

  [[nodiscard]] static std::optional<Said> said(GroupId group, NodeId from, NodeId to, ByteView bytes);
  void judge_commit(const Replica& at, const ReplicatedLog& log);
  void judge_sleep(const Replica& at, const ReplicatedLog& log);
  void judge_promise(const Said& said, std::string_view when);
  void judge_vote(GroupId group, const Member& voter, const Member& candidate, Epoch term);
  void judge_campaign(const Said& said, const raft::VoteRequest& request);
  void note(const Said& said);

  Recorder& recorder_;
  const DurabilityChecker& durability_;
  PerReplica<Commit> commits_;
  PerReplica<std::deque<Parked>> parked_;
  PerReplica<bool> asleep_;
  std::map<std::tuple<GroupId, Member, Epoch>, Member> votes_;
  std::map<Campaign, std::set<Member>> pre_votes_;
};

}  // namespace assent::sim
