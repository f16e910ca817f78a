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
//   * the membership in force is that of the log's end, committed or not; a leader starts a change only when the one
//     before is committed, and an entry of its own term too (4.1, and Ongaro's correction of it on raft-dev, 2015).
//   * everybody is a member, a node in one incarnation: messages of or to another incarnation are not heard.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "base/rng.h"
#include "consensus/log_contract.h"
#include "consensus/raft/membership_history.h"
#include "consensus/raft/messages.h"
#include "consensus/raft/raft_log.h"
#include "consensus/raft/raft_options.h"
#include "consensus/raft/read_points.h"
#include "consensus/raft/roles.h"

namespace assent::raft {

class Raft final : public ReplicatedLog {
 public:
  Raft(const LogSetup& setup, const RaftOptions& options);

  void tick() override;
  void receive(NodeId from, ByteView message) override;
  [[nodiscard]] Result<Position> propose(Bytes command, ClusterMillis now) override;
  [[nodiscard]] Result<Position> change_membership(std::span<const MemberChange> changes, ClusterMillis now) override;
  [[nodiscard]] Result<void> request_read(ReadId id) override;
  void request_read_point() override;
  [[nodiscard]] std::optional<ReadPoint> read_point(Index applied) const override;
  void durable(std::uint64_t output_number) override;
  [[nodiscard]] Output take_output() override;
  [[nodiscard]] bool has_output() const override;
  void snapshot_taken(const SnapshotMark& mark) override;
  void receive_snapshot(NodeId from, Epoch epoch, const SnapshotMark& mark) override;
  void snapshot_sent(NodeId to, bool delivered) override;
  void transfer_leadership(NodeId to) override;
  void set_clock(std::uint64_t micros) override;
  void set_idle(bool idle) override { idle_ = idle; }
  [[nodiscard]] bool asleep() const override { return asleep_; }
  void wake(const Slept& slept) override;

  [[nodiscard]] LogStatus status() const override;
  [[nodiscard]] Result<SnapshotMark> mark_at(Index index) const override;
  [[nodiscard]] std::uint64_t digest() const override;

  // For transcripts and traces.
  [[nodiscard]] Epoch term() const { return term_; }
  [[nodiscard]] const Member& self() const { return self_; }
  [[nodiscard]] const Member& vote() const { return vote_; }
  [[nodiscard]] const Role& role() const { return role_; }
  [[nodiscard]] std::string_view role_name() const;
  [[nodiscard]] const RaftLog& log() const { return log_; }
  [[nodiscard]] Index commit() const { return commit_; }
  [[nodiscard]] const MembershipHistory& memberships() const { return memberships_; }
  // It helps nobody to lead for a while: it has granted a lease, or may have (raft_lease.cc).
  [[nodiscard]] bool promised() const;
  [[nodiscard]] std::uint64_t reads_by_lease() const { return reads_by_lease_; }

 private:
  using Next = std::optional<Role>;  // none: stay as it is

  // Followers that are level with each other are sent the same bytes: they are made once.
  struct EncodedAppend {
    Index prev;
    Index end;
    std::uint64_t incarnation = 0;  // of whom they are for
    Bytes bytes;
  };

  // ---- terms and roles (raft.cc) ----
  [[nodiscard]] bool settle_term(const Member& from, const Message& message);
  void answer_stale(const Member& from, const Message& message);
  void enter_term(Epoch term);
  [[nodiscard]] bool follow(const Member& leader);
  void enter(Role next);
  template <class M>
  void dispatch(const Member& from, const M& message);
  [[nodiscard]] std::vector<Member> voters() const { return memberships_.current().voting(); }  // of either half
  // 3.6.1; a log that this replica gave up or lost counts as if it had it still.
  [[nodiscard]] bool is_new_enough(const Position& last) const { return last >= log_.last() && last >= left_; }
  [[nodiscard]] bool is_whole() const { return log_.last() >= left_; }
  [[nodiscard]] bool may_lead() const { return memberships_.may_lead(self_, commit_) && is_whole(); }
  [[nodiscard]] bool plausible(Epoch term) const;
  [[nodiscard]] bool hard_state_durable() const { return !hard_dirty_ && hard_output_ <= durable_output_; }
  [[nodiscard]] Leadership leadership() const;
  void ignore() { ++ignored_; }

  // ---- elections (raft_election.cc) ----
  [[nodiscard]] Next on_tick(Follower& role);
  [[nodiscard]] Next on_tick(PreCandidate& role);
  [[nodiscard]] Next on_tick(Candidate& role);
  [[nodiscard]] Follower follower_of(const Member& leader);
  [[nodiscard]] std::uint32_t draw_timeout();
  [[nodiscard]] Role pre_campaign();
  void ask_to_be_filled(Follower& role);
  void ask_for_pre_votes(const Tally& tally);
  [[nodiscard]] Role campaign(bool forced);
  [[nodiscard]] Next try_to_lead(const Candidate& role);
  [[nodiscard]] bool loyal() const;
  void answer_pre_vote(const Member& from, const PreVoteRequest& message);
  [[nodiscard]] bool answer_vote(const Member& from, const VoteRequest& message, NodeId leader);
  [[nodiscard]] Next on(Follower& role, const Member& from, const VoteRequest& message);
  [[nodiscard]] Next on(PreCandidate& role, const Member& from, const VoteRequest& message);
  [[nodiscard]] Next on(Candidate& role, const Member& from, const VoteRequest& message);
  [[nodiscard]] Next on(Leader& role, const Member& from, const VoteRequest& message);
  [[nodiscard]] Next on(PreCandidate& role, const Member& from, const PreVoteReply& message);
  [[nodiscard]] Next on(Candidate& role, const Member& from, const VoteReply& message);
  [[nodiscard]] Next on(Follower& role, const Member& from, const TimeoutNow& message);

  // ---- followers (raft_replication.cc) ----
  [[nodiscard]] Next on(Follower& role, const Member& from, const AppendRequest& message);
  [[nodiscard]] Next on(Follower& role, const Member& from, const Heartbeat& message);
  void store(const Member& leader, std::span<const EntryPtr> entries, Index end, Index leader_commit);
  void reject(const Member& leader, const Position& prev);
  void accept(const Member& leader, Index match);
  void tell_loss(const Member& leader, Index believed);
  void commit_to(Index index);
  [[nodiscard]] Member sender_of_snapshot(NodeId from, const SnapshotMark& mark) const;
  void install(const SnapshotMark& mark);

  // ---- sleep (raft_sleep.cc) ----
  [[nodiscard]] bool settled(const Leader& role) const;
  [[nodiscard]] bool is_drowsy(Leader& role);
  void put_to_sleep(Leader& role);
  void sleep_if_all_do(const Leader& role);
  [[nodiscard]] Next on(Leader& role, const Member& from, const SleepReply& message);
  [[nodiscard]] Next on(Follower& role, const Member& from, const Sleep& message);
  void wake_up(bool ask_leader);
  void ask_for_sign(const Follower& role);
  template <class Reply>  // promises nothing but the term, so it need not wait for entries that are being written
  void answer_leader(const Member& leader, const Reply& reply) {
    hard_state_durable() ? send_now(leader, reply) : send_after_sync(leader, reply);
  }

  // ---- leases (raft_lease.cc) ----
  [[nodiscard]] bool leased(const Leader& role) const;
  void ask_for_lease(const Leader& role);
  [[nodiscard]] Next on(Follower& role, const Member& from, const LeaseRequest& message);
  [[nodiscard]] Next on(Leader& role, const Member& from, const LeaseGrant& message);

  // ---- read points (raft_read_points.cc) ----
  [[nodiscard]] bool ask_for_point(Leader& role, const Member& by, std::uint64_t sent);
  void give_point(const ReadBarriers::Point& point);
  [[nodiscard]] Next on(Leader& role, const Member& from, const ReadPointRequest& message);
  [[nodiscard]] Next on(Follower& role, const Member& from, const ReadPointReply& message);

  // ---- leaders (raft_leader.cc) ----
  [[nodiscard]] Leader lead();
  [[nodiscard]] Next on_tick(Leader& role);
  [[nodiscard]] bool majority_is_active(Leader& role);
  [[nodiscard]] Next on(Leader& role, const Member& from, const AppendAccept& message);
  [[nodiscard]] Next on(Leader& role, const Member& from, const AppendReject& message);
  [[nodiscard]] Next on(Leader& role, const Member& from, const HeartbeatReply& message);
  void advance_commit(Leader& role);
  void hand_over_if_ready(Leader& role);
  void confirm_reads(Leader& role);
  void send_heartbeats(Leader& role);
  void send_heartbeat(const Leader& role, Peer& peer);
  [[nodiscard]] Result<void> make_room(const Leader& role, std::size_t bytes) const;
  Position append(Leader& role, EntryKind kind, Bytes payload, ClusterMillis now);
  void flush(Leader& role);
  [[nodiscard]] bool may_send_to(const Progress& progress) const;
  [[nodiscard]] bool has_to_send(const Leader& role) const;
  void replicate(Peer& peer, EncodedAppend& newest);
  void send_snapshot(Peer& peer);
  void send_entries(Peer& peer, std::vector<EntryPtr> entries, EncodedAppend& newest);

  // ---- membership (raft_membership.cc) ----
  void adopt(Index index, Membership membership);
  void adopt_from(std::span<const EntryPtr> entries);
  void follow_membership(Leader& role, Index next);
  [[nodiscard]] Result<void> check_change(const Leader& role, const Membership& after,
                                          std::span<const MemberChange> changes) const;
  [[nodiscard]] bool alive(const Leader& role, const Member& member) const;
  void settle_membership();
  void leave_to_others(Leader& role);
  template <class ValueOf>  // of(peer's progress); own for this node
  [[nodiscard]] std::uint64_t agreed(const Leader& role, std::uint64_t own, const ValueOf& of) const {
    return reached_by_quorum(memberships_.current(), [&](const Member& member) -> std::uint64_t {
      if (member == self_) return own;
      const Progress* progress = role.find(member);
      return progress == nullptr ? 0 : of(*progress);
    });
  }

  // What does not concern the role: an answer to a question of a former one.
  template <class R, class M>
  [[nodiscard]] Next on(R&, const Member&, const M&) {
    ignore();
    return std::nullopt;
  }

  // ---- output ----
  [[nodiscard]] Bytes letter(const Member& to, const Message& message) const;
  void send_now(const Member& to, const Message& message);
  void send_after_sync(const Member& to, const Message& message);
  void hand_out_committed(Output& out);
  template <class... Args>
  void narrate(fmt::format_string<Args...> format, Args&&... args) {
    if (options_.narrate) out_.narration.push_back(fmt::format(format, std::forward<Args>(args)...));
  }

  Member self_;
  GroupId group_;
  Position left_;  // see LogSetup
  RaftOptions options_;
  Rng rng_;
  MembershipHistory memberships_;
  bool silent_ = false;  // rebuilt from something that cannot be trusted

  Epoch term_;
  Member vote_;
  bool hard_dirty_ = false;        // term or vote changed since the last output
  std::uint64_t hard_output_ = 0;  // the last output that carried them
  RaftLog log_;
  Index commit_;
  Index handed_;  // committed entries handed out
  Role role_;
  std::uint64_t ticks_ = 0;
  std::uint64_t clock_ = 0;  // the host's, in microseconds
  bool clock_known_ = false;
  std::uint64_t clock_began_ = 0;  // what it showed first
  std::uint64_t promised_until_ = 0;
  std::uint64_t reads_by_lease_ = 0;
  ReadPoints points_;
  std::uint64_t point_asked_ = 0;       // when the newest was asked for, by the clock; 0: never
  std::uint64_t point_asked_tick_ = 0;  // the same in ticks_
  bool idle_ = false;                   // the host has nothing for it to do
  bool asleep_ = false;                 // a leader or a follower

  Output out_;                                      // what gathers for the next output
  std::optional<std::pair<Member, Index>> accept_;  // the newest acknowledgement owed; one an output says it all
  std::optional<SnapshotMark> install_;
  std::uint64_t output_number_ = 0;
  std::uint64_t durable_output_ = 0;
  Leadership reported_;
  std::uint64_t reported_members_ = 0;  // MembershipHistory::version()
  std::uint64_t ignored_ = 0;
};

}  // namespace assent::raft
