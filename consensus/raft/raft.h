// The Raft core: one group's replicated log as a plain value (Ongaro's dissertation, cited by section in the code).
//
// It is not a server: no I/O, clock, thread or log file; what it wants done stands in take_output(). It is driven by
// one thread through the ReplicatedLog seam, whose header says what the host owes it. Copies are independent of each
// other.
//
// Chart of the roles: roles.h. Messages: messages.h. Flow of an input: decode -> settle_term() -> on(role, message) ->
// the next role, if any. What is sent to followers is decided once per output, in flush().
//
// Invariants, beyond the contract's laws:
//   * term_ never goes down; vote_ changes only with it, or once from none.
//   * handed_ <= commit_ <= last index; commit_ never goes down; entries up to commit_ never change.
//   * term and vote are durable before a message leaves that depends on them; votes and acknowledgements wait for the
//   disk in
//     Output::send_after_sync. A leader's appends may overtake its own disk, and it counts itself only when durable
//     (10.2.1).
//   * committed entries may be handed out before the own disk has them: a majority's disks do.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "base/rng.h"
#include "consensus/log_contract.h"
#include "consensus/raft/messages.h"
#include "consensus/raft/raft_log.h"
#include "consensus/raft/raft_options.h"
#include "consensus/raft/roles.h"

namespace assent::raft {

class Raft final : public ReplicatedLog {
 public:
  Raft(const LogSetup& setup, const RaftOptions& options);

  void tick() override;
  void receive(NodeId from, ByteView message) override;
  [[nodiscard]] Result<Position> propose(Bytes command, ClusterMillis now) override;
  [[nodiscard]] Result<void> request_read(ReadId id) override;
  void durable(std::uint64_t output_number) override;
  [[nodiscard]] Output take_output() override;
  [[nodiscard]] bool has_output() const override;
  void snapshot_taken(const SnapshotMark& mark) override;
  void receive_snapshot(NodeId from, Epoch epoch, const SnapshotMark& mark) override;
  void snapshot_sent(NodeId to, bool delivered) override;
  void transfer_leadership(NodeId to) override;

  [[nodiscard]] LogStatus status() const override;
  [[nodiscard]] Result<SnapshotMark> mark_at(Index index) const override;
  [[nodiscard]] std::uint64_t digest() const override;

  // For transcripts and traces.
  [[nodiscard]] Epoch term() const { return term_; }
  [[nodiscard]] NodeId vote() const { return vote_; }
  [[nodiscard]] const Role& role() const { return role_; }
  [[nodiscard]] std::string_view role_name() const;
  [[nodiscard]] const RaftLog& log() const { return log_; }
  [[nodiscard]] Index commit() const { return commit_; }

 private:
  using Next = std::optional<Role>;  // none: stay as it is

  // Followers that are level with each other are sent the same bytes: they are made once.
  struct EncodedAppend {
    Index prev;
    Index end;
    Bytes bytes;
  };

  // ---- terms and roles (raft.cc) ----
  [[nodiscard]] bool settle_term(NodeId from, const Message& message);
  void answer_stale(NodeId from, const Message& message);
  void enter_term(Epoch term);
  [[nodiscard]] bool follow(NodeId leader);
  void enter(Role next);
  template <class M>
  void dispatch(NodeId from, const M& message);
  [[nodiscard]] bool is_member(NodeId node) const;
  [[nodiscard]] bool is_peer(NodeId node) const { return node != self_ && is_member(node); }
  [[nodiscard]] bool plausible(Epoch term) const;
  [[nodiscard]] bool hard_state_durable() const { return !hard_dirty_ && hard_output_ <= durable_output_; }
  [[nodiscard]] Leadership leadership() const;
  void ignore() { ++ignored_; }

  // ---- elections (raft_election.cc) ----
  [[nodiscard]] Next on_tick(Follower& role);
  [[nodiscard]] Next on_tick(PreCandidate& role);
  [[nodiscard]] Next on_tick(Candidate& role);
  [[nodiscard]] Follower follower_of(NodeId leader);
  [[nodiscard]] std::uint32_t draw_timeout();
  [[nodiscard]] Role pre_campaign();
  [[nodiscard]] Role campaign(bool forced);
  [[nodiscard]] Next try_to_lead(const Candidate& role);
  [[nodiscard]] bool loyal() const;
  void answer_pre_vote(NodeId from, const PreVoteRequest& message);
  [[nodiscard]] bool answer_vote(NodeId from, const VoteRequest& message, NodeId leader);
  [[nodiscard]] Next on(Follower& role, NodeId from, const VoteRequest& message);
  [[nodiscard]] Next on(PreCandidate& role, NodeId from, const VoteRequest& message);
  [[nodiscard]] Next on(Candidate& role, NodeId from, const VoteRequest& message);
  [[nodiscard]] Next on(Leader& role, NodeId from, const VoteRequest& message);
  [[nodiscard]] Next on(PreCandidate& role, NodeId from, const PreVoteReply& message);
  [[nodiscard]] Next on(Candidate& role, NodeId from, const VoteReply& message);
  [[nodiscard]] Next on(Follower& role, NodeId from, const TimeoutNow& message);

  // ---- followers (raft_replication.cc) ----
  [[nodiscard]] Next on(Follower& role, NodeId from, const AppendRequest& message);
  [[nodiscard]] Next on(Follower& role, NodeId from, const Heartbeat& message);
  void store(NodeId leader, std::span<const EntryPtr> entries, Index end, Index leader_commit);
  void reject(NodeId leader, const Position& prev);
  void accept(NodeId leader, Index match);
  void commit_to(Index index);
  void install(const SnapshotMark& mark);

  // ---- leaders (raft_leader.cc) ----
  [[nodiscard]] Leader lead();
  [[nodiscard]] Next on_tick(Leader& role);
  [[nodiscard]] bool majority_is_active(Leader& role);
  [[nodiscard]] Next on(Leader& role, NodeId from, const AppendAccept& message);
  [[nodiscard]] Next on(Leader& role, NodeId from, const AppendReject& message);
  [[nodiscard]] Next on(Leader& role, NodeId from, const HeartbeatReply& message);
  void advance_commit(Leader& role);
  void hand_over_if_ready(Leader& role);
  void confirm_reads(Leader& role);
  void send_heartbeats(Leader& role);
  void send_heartbeat(const Leader& role, Peer& peer);
  void flush(Leader& role);
  [[nodiscard]] bool may_send_to(const Progress& progress) const;
  [[nodiscard]] bool has_to_send(const Leader& role) const;
  void replicate(Peer& peer, EncodedAppend& newest);
  void send_snapshot(Peer& peer);
  void send_entries(Peer& peer, std::vector<EntryPtr> entries, EncodedAppend& newest);

  // What does not concern the role: an answer to a question of a former one.
  template <class R, class M>
  [[nodiscard]] Next on(R&, NodeId, const M&) {
    ignore();
    return std::nullopt;
  }

  // ---- output ----
  void send_now(NodeId to, const Message& message);
  void send_after_sync(NodeId to, const Message& message);
  void hand_out_committed(Output& out);
  template <class... Args>
  void narrate(fmt::format_string<Args...> format, Args&&... args) {
    if (options_.narrate) out_.narration.push_back(fmt::format(format, std::forward<Args>(args)...));
  }

  NodeId self_;
  GroupId group_;
  RaftOptions options_;
  Rng rng_;
  std::vector<NodeId> members_;  // voters, ascending
  bool silent_ = false;          // rebuilt from something that cannot be trusted

  Epoch term_;
  NodeId vote_;
  bool hard_dirty_ = false;        // term or vote changed since the last output
  std::uint64_t hard_output_ = 0;  // the last output that carried them
  RaftLog log_;
  Index commit_;
  Index handed_;  // committed entries handed out
  Role role_;
  std::uint64_t ticks_ = 0;

  Output out_;                                      // what gathers for the next output
  std::optional<std::pair<NodeId, Index>> accept_;  // the newest acknowledgement owed; one an output says it all
  std::optional<SnapshotMark> install_;
  std::uint64_t output_number_ = 0;
  std::uint64_t durable_output_ = 0;
  Leadership reported_;
  std::uint64_t ignored_ = 0;
};

}  // namespace assent::raft
