// The seam between the node and any consensus core: one replicated log per group, prefix-ordered, one leader an epoch.
//
// A core is a value behind this interface: it does no I/O, reads no clock, draws no randomness but from its seeded
// generator, logs nothing, blocks never. The host drives it from one thread: it calls an input (tick, receive, propose,
// ...), then take_output() and does what that says, in order, once.
//
// Nine laws, whoever the members are at the time, each a test in tests/contract and a checker in the simulator:
//   L1 agreement     entries committed at one index are equal on all replicas, for ever
//   L2 stamps        an entry's epoch and stamp never change; along a log neither decreases
//   L3 one leader    at most one node leads an epoch, and at most once
//   L4 durability    nothing counts towards commitment before durable(); a core rebuilt from what was durable never
//                    contradicts what it sent
//   L5 completeness  self_ready only after an entry of the own epoch is committed and handed out
//   L6 reads         a read reported at index i reflects every entry committed before the request
//   L7 determinism   same construction and inputs, same outputs and digest
//   L8 bounds        output sizes, log bytes and in-flight windows stay under configured limits; propose refuses
//   instead L9 liveness      with a connected majority and fair delivery a leader emerges and proposals commit within B
//   ticks
// The transaction layer builds on L2, L3 and L5 alone.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/log_entry.h"
#include "base/membership.h"
#include "base/result.h"

namespace assent {

struct ConsensusMessage {
  NodeId to;
  Bytes bytes;  // the core's own encoding, opaque to the host
};

// What this replica believes about who leads.
struct Leadership {
  Epoch epoch;
  NodeId leader;            // none when unknown
  bool self_leads = false;  // this replica leads epoch
  bool self_ready = false;  // ... and has handed out an entry of it (L5): everything before it has been handed out too

  bool operator==(const Leadership&) const = default;
};

struct ReadReady {
  ReadId id;
  Index index;  // answer the read once this index is applied
};

// What a replica can prove of what it holds: whatever anybody was told to be committed longer than age_micros ago
// stands at or below index.
struct ReadPoint {
  Index index;
  std::uint64_t age_micros = 0;  // of real time, at most
};

// The host sends its newest snapshot of the group to this node, then reports snapshot_sent().
struct SnapshotSend {
  NodeId to;
  Epoch epoch;  // travels with the snapshot, for receive_snapshot()
};

struct Output {
  std::uint64_t number = 0;                // echoed by durable(); grows by one with each take_output()
  std::optional<Bytes> hard_state;         // replaces the stored one
  std::optional<SnapshotMark> install;     // forget the stored log up to this mark: its snapshot takes the place.
                                           // Comes alone with hard_state; the application restores before committed
  std::vector<EntryPtr> append;            // contiguous; replaces any stored suffix from its first index on
  std::vector<ConsensusMessage> send_now;  // may leave before the disk knows anything
  std::vector<ConsensusMessage> send_after_sync;  // only once this output and all earlier ones are durable
  std::vector<EntryPtr> committed;                // hand to the application in this order
  std::optional<Leadership> leadership;           // set when it changed
  std::vector<ReadReady> reads;                   // barriers satisfied, in order of request
  std::vector<ReadId> reads_lost;                 // barriers that this replica can no longer satisfy
  std::vector<SnapshotSend> snapshots_to_send;
  std::optional<Membership> membership;  // set when it changed
  std::vector<std::string> narration;    // why it acted, when narration is on; for transcripts and traces

  // Anything but what the disk must keep.
  [[nodiscard]] bool has_news() const {
    return !send_now.empty() || !send_after_sync.empty() || !committed.empty() || leadership || !reads.empty() ||
           !reads_lost.empty() || !snapshots_to_send.empty() || membership || !narration.empty();
  }
  [[nodiscard]] bool needs_disk() const { return hard_state.has_value() || install.has_value() || !append.empty(); }
};

struct PeerProgress {
  Member member;
  Index match;
  bool recently_active = false;
};

struct LogStatus {
  Leadership leadership;
  Index first;  // first entry still in memory
  Index last;
  Epoch last_epoch;  // of the last entry
  Index committed;
  SnapshotMark snapshot;
  std::uint64_t log_bytes = 0;
  std::uint64_t ignored_messages = 0;  // malformed, foreign or stale input
  Membership members;                  // in force, committed or not
  Index members_since;                 // the entry that made it; at most committed once it is
  bool asleep = false;
  std::uint64_t reads_by_lease = 0;  // in this life
  std::vector<PeerProgress> peers;   // on the leader
};

// What passed a core by while it slept.
struct Slept {
  struct Silence {
    NodeId node;
    std::uint32_t ticks = 0;  // since anything was heard of the node, of whatever group
  };
  std::uint64_t ticks = 0;  // that it was not given
  std::span<const Silence> silences;
};

class ReplicatedLog {
 public:
  virtual ~ReplicatedLog() = default;

  // One unit of the group's time; units and time-outs are the core's configuration.
  virtual void tick() = 0;
  // Malformed, foreign or late bytes are counted and ignored.
  virtual void receive(NodeId from, ByteView message) = 0;
  // Appends a command, stamped max(now, last stamp). not_leader with a hint; busy when a window is full; refused when
  // the command is larger than the configured maximum. The position says where it will stand if it is committed.
  [[nodiscard]] virtual Result<Position> propose(Bytes command, ClusterMillis now) = 0;
  // Appends a change of the membership (dissertation chapter 4), which is in force from then on; a joint one is left
  // by itself. not_leader; busy while another change or a hand-over is under way, or before self_ready; refused when
  // it changes nothing, makes a voter of who is not a learner or has not caught up, or would leave a group of which no
  // majority answers.
  [[nodiscard]] virtual Result<Position> change_membership(std::span<const MemberChange> changes,
                                                           ClusterMillis now) = 0;
  // A read barrier (dissertation 6.4); answered in Output::reads or reads_lost. not_leader before self_ready.
  [[nodiscard]] virtual Result<void> request_read(ReadId id) = 0;
  // For reads that may be stale, on any replica. The youngest point whose index is at or below applied; none: nothing
  // can be proven. Ages by the host's clock (set_clock).
  [[nodiscard]] virtual std::optional<ReadPoint> read_point(Index /*applied*/) const { return std::nullopt; }
  // Asks for a younger one; a hint: whoever goes on waiting asks again, as often as it likes.
  virtual void request_read_point() {}
  // Everything up to and including this output's number is on disk.
  virtual void durable(std::uint64_t output_number) = 0;
  [[nodiscard]] virtual Output take_output() = 0;
  // False: take_output() would bring nothing, and need not be called. Most ticks of an idle group end so.
  [[nodiscard]] virtual bool has_output() const { return true; }
  // The host holds a durable snapshot up to mark, which is at or below what was committed: the log may forget up to it.
  virtual void snapshot_taken(const SnapshotMark& mark) = 0;
  // A snapshot arrived from a peer and is durable in the host's snapshot store. The core answers with Output::install,
  // or ignores it when it is stale.
  virtual void receive_snapshot(NodeId from, Epoch epoch, const SnapshotMark& mark) = 0;
  // The transfer asked for by SnapshotSend ended; delivered says whether the peer took it whole.
  virtual void snapshot_sent(NodeId to, bool delivered) = 0;
  // Asks the leader to hand over to a voter when that has caught up; a hint, not a promise.
  virtual void transfer_leadership(NodeId to) = 0;

  // The host's time, in microseconds: never goes back, and goes on while the process does not. For leases alone, by
  // which some cores answer reads. Told when the core is made, and between any message, tick or read that came in and
  // its being given to the core.
  virtual void set_clock(std::uint64_t /*micros*/) {}

  // ---- sleep, for hosts of many groups ----
  // The host has nothing for the group to do, until something comes: if its leader's host says so for a while, a core
  // that is configured for it may sleep. From then on it need not be ticked, and says nothing until anything else is
  // asked of it. In turn the host sees to it that whoever needs this replica is missed: it hears of each other node
  // regularly, or else calls wake() for every sleeper that is led from there or leads a member there, and so it does
  // when a node has begun another life. A message that wakes it is followed by wake() as well.
  virtual void set_idle(bool /*idle*/) {}
  [[nodiscard]] virtual bool asleep() const { return false; }
  virtual void wake(const Slept& /*slept*/) {}

  [[nodiscard]] virtual LogStatus status() const = 0;
  // Where mark for index would stand: the epoch, stamp and members at a handed-out index that is still in memory or at
  // the snapshot. compacted otherwise.
  [[nodiscard]] virtual Result<SnapshotMark> mark_at(Index index) const = 0;
  // Equal for equal histories of construction and inputs (L7).
  [[nodiscard]] virtual std::uint64_t digest() const = 0;
};

// What any core is built from.
struct LogSetup {
  NodeId self;
  GroupId group;
  std::vector<NodeId> members;  // the founders; what the snapshot and the entries say of members wins
  std::uint64_t seed = 0;       // for election jitter
  DurableLog durable;
  std::uint64_t incarnation = 0;      // of this member: 0 while the node has the disk that it founded the group with
  std::vector<Member> founders = {};  // members with their incarnations, ascending; none: all are in the first
  // This replica once held the log up to here, and holds less: it gave it up when it had left the group, or lost
  // entries to damage (of several places the greatest; the log is what is whole up to the first entry that is missing).
  // The hard state is what it was. It helps nobody to lead whose log ends before, itself least of all; none: nothing is
  // missing.
  //
  // Why that is safe. Two things are relied on of what a replica acknowledged. That whoever is elected has what is
  // committed (dissertation 3.6.3): of a voter the argument uses nothing but where its log ended when it voted, and for
  // votes it still ends there. So a log that was made shorter wins with no minority of damaged replicas that it could
  // not have won with when they were whole; and when all who had a record have lost it, nobody is elected who lacks it,
  // and nobody has it: the group stands still, as it should. And that what is committed outlives a minority's disks:
  // what was lost counts for nothing there any more, so a damaged record is one of the disks that a group can lose. A
  // replica that left has no part in that (node/leaving.h); one that lost entries is filled by its leader, which hears
  // of it with its next heartbeat (messages.h, no_request). Once the log is that new again all is as it was.
  Position left = {};
};

// corruption when no core may be rebuilt from what is durable: it could not know what it promised.
using LogFactory = std::function<Result<std::unique_ptr<ReplicatedLog>>(const LogSetup&)>;

}  // namespace assent
