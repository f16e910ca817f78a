// Judges what the cores and the disks promise each other: laws L4, L5 and L6 of consensus/log_contract.h, directly and
// at once, where LogChecker would need the luck of a crash at the right moment to see an entry lost.
//
//   commitment  when an entry is first handed out as committed, a majority of its group holds it durably: of those who
//               belong to it at that place of the log, or after a change that stands behind it, which is in force
//               before it is committed
//   restart     a replica is rebuilt from at least what it was told to be durable: hard state, entries, snapshot
//   damage      one whose disk was damaged (hurt()) may lack entries from some place on, and then keeps how far it went
//               (LogSetup::left). What it lacks counts as held, until others take its place: it was acknowledged, and
//               it helps nobody to lead who lacks it
//   leaving     who gives up what it holds was removed by a committed membership, and helps nobody to lead who
//               lacks that
//   ready       a leader serves only after it has handed out an entry of its own epoch (L5)
//   reads       a read reported at an index reflects every entry that anybody held for committed when it was asked
//
// What is durable it learns from the outputs and from durable(), never from the disk. Knows no algorithm's messages.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <vector>

#include "sim/recorder.h"
#include "sim/watched_log.h"

namespace assent::sim {

// What one replica was told to be durable.
struct DurableView {
  std::uint64_t incarnation = 0;  // of the member
  Bytes hard_state;
  Index base;                   // everything up to here stands in a snapshot
  Index left;                   // ... or was given up, when others were known to hold it
  std::vector<Epoch> epochs;    // of the entry at base + 1 + i
  std::map<Index, Epoch> lost;  // to damage: what would stand beyond last()
  Position promised;            // LogSetup::left
  [[nodiscard]] Index last() const { return Index(base.value + epochs.size()); }
  // It may have acknowledged everything up to here.
  [[nodiscard]] Index reach() const { return std::max({last(), left, lost.empty() ? Index() : lost.rbegin()->first}); }
  // Holds the entry of this epoch, or a snapshot that covers it.
  [[nodiscard]] bool holds(Index index, Epoch epoch) const;
};

class DurabilityChecker final : public LogWatcher {
 public:
  explicit DurabilityChecker(Recorder& recorder) : recorder_(recorder) {}

  void built(const Replica& at, const LogSetup& setup, const ReplicatedLog& log) override;
  // The replica gives up all that it holds.
  void left(const Replica& at);
  // Its disk was damaged: entries may be missing when it is rebuilt next.
  void hurt(const Replica& at) { state_of(at).hurt = true; }
  void gave(const Replica& at, const Output& output, const ReplicatedLog& log) override;
  void synced(const Replica& at, std::uint64_t output_number, const ReplicatedLog& log) override;
  void asked_read(const Replica& at, ReadId id) override;

  // nullptr before the replica was first built.
  [[nodiscard]] const DurableView* view(const Replica& at) const;

 private:
  // What an output writes, until it is durable.
  struct Write {
    std::uint64_t number = 0;
    std::optional<Bytes> hard_state;
    std::optional<Index> install;
    Index first;  // of the entries
    std::vector<Epoch> epochs;
  };
  struct State {
    DurableView durable;
    std::deque<Write> writes;
    bool built = false;
    bool hurt = false;
    std::optional<DurableView> parted;  // gone, unless a crash loses that
    std::map<ReadId, Index> reads;      // committed anywhere when it was asked for
    Epoch handed;                       // of the newest entry handed out
  };
  struct Group {
    Index committed;                          // by anybody
    std::map<Index, Membership> memberships;  // committed; the founders at 0
    std::map<Position, Membership> written;   // by anybody
    std::map<Member, DurableView> lost;       // with the disks that they were on
  };

  [[nodiscard]] bool was_removed(const Group& group, const Member& member, Index last) const;
  void judge_restart(const Replica& at, const State& state, const LogSetup& setup);
  void judge_promise(const Replica& at, const State& state, Index kept, const LogSetup& setup);
  void judge_return(const Replica& at, const State& state, const LogSetup& setup);
  void judge_commit(const Replica& at, const Output& output);
  [[nodiscard]] bool majority_holds(GroupId id, const Group& group, const Entry& entry) const;
  void judge_ready(const Replica& at, const Output& output);
  void judge_reads(const Replica& at, const Output& output);
  static void apply(const Write& write, DurableView& view);
  static void settle_lost(DurableView& view);

  [[nodiscard]] State& state_of(const Replica& at) { return replicas_[at]; }

  Recorder& recorder_;
  PerReplica<State> replicas_;
  std::map<GroupId, Group> groups_;
};

}  // namespace assent::sim
