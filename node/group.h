// One group on this node: its replicated log, its application, and the order in which the log's outputs reach the disk,
// the peers and the application.
//
// Not a thread, not a timer, no protocol: the core decides, this carries out. Called by the loop alone, which for each
// round calls drain(), gather(), and after the batch is on its way, advance(). Whatever gives the log or the
// application something to say leaves the group dirty(); a group that is not dirty has nothing to do.
//
// Invariants:
//   * Messages after sync leave in the order of their outputs, each only when its own and all earlier outputs of the
//   group
//     are durable. Outputs that wait for the same ticket share one place in parked_, so at most two wait at a time.
//   * Committed entries are applied without waiting for the own disk. A crash can therefore leave the application ahead
//   of
//     the log's durable end. That is legal: what was committed is durable on a majority, comes back unchanged (L1), and
//     is skipped.
//   * The application is a leader exactly while leads() is true. A resignation is carried out before the entries of the
//     same output are applied, a new leadership after.
//   * A snapshot's name is in the WAL only after the snapshot is durable; older ones go only after that record is.
//   * A snapshot that is made in steps has the mark of what it holds when it is whole, not of when it was begun.
//   * A group that is dirty, or waits for the disk, stands in the loop's list of those, once: what a round costs does
//     not grow with the groups that have nothing to do.
//   * A group that meets a command that this program does not know is halted before it applies it, for the rest of
//     this life: it applies nothing more and serves nobody, and when its log is elected it asks another to take over.
//     It still stores, acknowledges and votes, for which it need not know what entries mean. A newer program goes on
//     from there. The node's other groups go on.
//   * A group rests, and is not ticked, only while its log sleeps and, on a leader, the application has nothing to do;
//     whatever comes for it but the pair's sign of life ends the rest, and so does the application's time.
//   * A group that has rested for some time lets its application go, a few groups each tick; not while it makes a
//     snapshot, and again some time after a stale read that was answered while it rested.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "consensus/log_contract.h"
#include "node/application.h"
#include "node/loop.h"
#include "node/peers.h"
#include "node/router.h"
#include "node/stale_reads.h"
#include "node/transport.h"
#include "storage/snapshot_store.h"
#include "storage/wal.h"

namespace assent {

// The batch that gathers for the WAL: at most one update for each group.
struct Batch {
  std::vector<GroupUpdate> updates;
  Wal::Ticket ticket = 1;  // what the WAL will call it
};

class Group {
 public:
  struct LetGoTurn {
    std::uint64_t tick = 0;  // not before
    Group* group = nullptr;
  };
  // What all groups of a node share; outlives them.
  struct Shared {
    Peers& peers;
    Router& router;
    SnapshotStore& snapshots;
    Transport& transport;
    Loop::Observer& observer;
    TxnWatcher*& watcher;                  // null: nobody watches
    const Wal::Ticket& durable;            // the newest batch that is
    std::vector<Group*>& dirty;            // who is, in no order
    std::vector<Group*>& waiting_on_disk;  // the same
    const std::uint64_t& now_ticks;
    const std::uint64_t& now_micros;  // Clock::alive_micros(), read after whatever is being handled came in
    std::vector<Group*>& risen;       // who rests no more, in no order
    std::deque<LetGoTurn>& let_go;    // who rests and has not let go yet, about in the order of their ticks
    std::set<std::pair<std::uint64_t, GroupId>>& alarms;  // of those who rest: when the application wants a tick
    std::vector<Group*>& making;  // who makes a snapshot in steps, in the order in which they take turns
    std::uint64_t snapshot_every = 0;
    std::uint64_t snapshot_log_bytes = 0;
    std::size_t snapshot_step_bytes = 0;  // 0: all at once
    std::uint64_t stale_read_ticks_max = 0;
    GroupLevels* levels = nullptr;  // NodeConfig::levels
    std::uint64_t let_go_ticks = 0;
    bool remakes = false;  // the loop makes damaged data again
  };

  Group(GroupConfig config, NodeId self, std::unique_ptr<ReplicatedLog> log, std::unique_ptr<Application> application,
        Index snapshot, Shared shared);
  Group(const Group&) = delete;  // the loop's lists point to it
  Group& operator=(const Group&) = delete;

  // For the rest of this life: see above.
  void halt(const Error& why);
  // Its application cannot read its data any more: the group is halted, and waits to be begun anew.
  [[nodiscard]] bool has_damaged_data() const { return data_damaged_; }
  // Before that: a snapshot that is being made is not wanted any more.
  [[nodiscard]] Result<void> give_up_making();

  // ---- inputs ----
  void tick();
  // After a tick: true when no tick is wanted until it has risen.
  [[nodiscard]] bool rest();
  void rise();
  // Its turn, which is over: the application gives memory back, or the group gets another turn, or does not rest any
  // more. True: it gave back.
  [[nodiscard]] Result<bool> let_go();
  // The node is silent, or began another life.
  void node_gone(NodeId node);
  void receive_consensus(NodeId from, ByteView message);
  void receive(GroupId from, ByteView payload);  // only while leads()
  void request(const ClientRequest& request);    // only while leads()
  void read_stale(RequestId id, const Query& query);
  [[nodiscard]] Result<void> receive_snapshot(NodeId from, SnapshotTransfer&& transfer);
  void snapshot_sent(NodeId to, bool delivered);
  void transfer_leadership(NodeId to);
  [[nodiscard]] Result<Position> change_membership(std::span<const MemberChange> changes, ClusterMillis now);
  [[nodiscard]] Result<Position> propose(Bytes command, ClusterMillis now);
  void know_shards(const std::vector<GroupId>& shards);
  // The stored snapshot of this place is damaged: another is taken in its stead, or, if a newer one is there, it goes.
  void snapshot_damaged(const Position& last);
  // Its log keeps what nobody else needs: a snapshot is due.
  void shorten_log();
  // On a leader, once an epoch: base/protocol_level.h.
  void write_level_command(ClusterMillis now);

  // ---- the steps of a round ----
  // Proposals and read barriers of the application go to the log; messages and replies are the caller's.
  [[nodiscard]] Outbox drain(ClusterMillis now);
  // Takes the log's output: what the disk must keep into the batch, messages to the peers or parked.
  void gather(Batch& batch);
  // Installs, applies, tells the application who leads and which reads are ready, takes or sends snapshots.
  [[nodiscard]] Result<void> advance(ClusterMillis now);

  // One step of a snapshot that is being made. False: it is made, or was given up, and the group is off that list.
  [[nodiscard]] Result<bool> step_snapshot();

  // ---- disk ----
  // This batch and all earlier ones. False: it waits for none any more, and is off the list.
  [[nodiscard]] bool durable(Wal::Ticket ticket);
  [[nodiscard]] Result<void> snapshot_saved(const SnapshotMark& mark, Batch& batch);

  // The node leaves the group, which is not led here and has no snapshot on its way to the disk: what it still owes.
  [[nodiscard]] bool may_part() const { return !leads_ && !saving_ && !incoming_; }
  [[nodiscard]] std::vector<ClientReply> part();
  // The newest that the disk was given, or has since the start.
  [[nodiscard]] const Bytes& hard_state() const { return hard_state_; }
  void remember(const Bytes& hard_state) { hard_state_ = hard_state; }

  [[nodiscard]] bool dirty() const { return dirty_; }
  [[nodiscard]] bool leads() const { return leads_; }
  [[nodiscard]] Epoch epoch() const { return led_; }       // while leads()
  [[nodiscard]] NodeId leader() const { return leader_; }  // as last told; none: not known
  [[nodiscard]] LogStatus log() const { return log_->status(); }
  [[nodiscard]] const GroupConfig& config() const { return config_; }
  [[nodiscard]] Application& application() const { return *application_; }
  [[nodiscard]] GroupStatus status() const;
  // For Loop::take_news(): true once between two calls of tell_news().
  [[nodiscard]] bool makes_news() { return !std::exchange(news_, true); }
  [[nodiscard]] GroupStatus tell_news() {
    news_ = false;
    return status();
  }
  [[nodiscard]] std::uint64_t snapshots_damaged() const { return snapshots_damaged_; }
  [[nodiscard]] std::uint64_t snapshots_refused() const { return snapshots_refused_; }

 private:
  struct Parked {
    std::uint64_t output = 0;  // the newest that waits here
    Wal::Ticket ticket = 0;
    std::vector<ConsensusMessage> messages;
  };
  struct Drop {  // of older snapshots, once the batch that names the newer one is durable
    Wal::Ticket ticket = 0;
    SnapshotMark before;
  };
  struct Incoming {
    NodeId from;
    Epoch epoch;
    SnapshotMark mark;
    SnapshotDataPtr data;
  };

  [[nodiscard]] std::uint64_t rest_ticks() const;
  void used_at_rest();
  void wake_log();
  void mark_dirty();
  void wait_on_disk();
  GroupUpdate& update_in(Batch& batch);
  void park(bool needs_disk, Wal::Ticket coming);
  void send(const std::vector<ConsensusMessage>& messages);
  void keep_unanswered(std::vector<ClientReply>& replies);
  void resign(const Leadership& next);
  void change_leadership(const Leadership& next);
  [[nodiscard]] Result<void> install(const SnapshotMark& mark);
  [[nodiscard]] Result<void> apply(const std::vector<EntryPtr>& committed, ClusterMillis now);
  [[nodiscard]] RoundCost take_round(const Entry& entry, ClusterMillis now);
  void serve_reads(const Output& output);
  void serve_stale_reads();
  void send_snapshot(const SnapshotSend& send);
  [[nodiscard]] bool snapshot_due() const;
  [[nodiscard]] Result<void> take_snapshot();
  [[nodiscard]] Result<void> save(const SnapshotMark& mark, SnapshotDataPtr data);
  [[nodiscard]] Result<void> save_incoming();
  [[nodiscard]] Result<void> advance_halted();
  void tick_halted();
  void give_leadership_away();
  [[nodiscard]] Error named(Error error, std::string_view doing) const;

  GroupConfig config_;
  std::unique_ptr<ReplicatedLog> log_;
  std::unique_ptr<Application> application_;
  Shared shared_;

  bool dirty_ = false;
  bool waits_on_disk_ = false;
  bool news_ = false;
  bool resting_ = false;
  std::uint64_t resting_since_ = 0;  // ticks of the loop
  bool has_turn_ = false;            // to let go
  std::uint64_t quiet_since_ = 0;    // ticks of the loop: the application was not asked anything since
  std::uint64_t alarm_ = 0;          // 0: none
  NodeId leader_;                    // as last told
  Bytes hard_state_;
  Output output_;  // between gather() and advance()
  std::deque<Parked> parked_;
  Wal::Ticket update_ticket_ = 0;  // the batch that update_slot_ is a place in
  std::size_t update_slot_ = 0;

  bool leads_ = false;
  Epoch led_;
  // Of what was proposed here and is not applied yet: how many syncs of this node's disk lie before its durability.
  std::map<Index, std::uint64_t> syncs_;
  std::set<RequestId> waiting_;       // requests that the application owes a reply
  std::vector<ClientReply> parting_;  // of a leader that resigned
  std::deque<ReadReady> reads_;       // satisfied barriers whose index is not applied yet

  StaleReads stale_reads_;
  std::optional<Error> halted_;  // it met what this program does not know, or data that cannot be read
  bool data_damaged_ = false;
  Epoch level_written_;  // the epoch in which write_level_command() did so

  Index snapshot_;                          // the newest taken or installed
  std::uint64_t snapshot_phase_ = 0;        // so that the replicas of a group do not all stop at one index
  std::uint64_t bytes_since_snapshot_ = 0;  // applied payload
  bool snapshot_wanted_ = false;            // whatever was applied since the last one
  std::uint64_t snapshots_damaged_ = 0;
  std::uint64_t snapshots_refused_ = 0;
  bool making_ = false;  // an own one, in steps
  Index making_since_;   // what was applied when that began
  bool saving_ = false;  // or making
  bool saving_own_ = false;
  std::optional<Incoming> incoming_;  // a peer's snapshot: being saved, or waiting until our own save ends
  std::optional<Drop> drop_;
};

}  // namespace assent
