// What a node knows of the groups that it left: a replica that was removed from its group goes, with all that it kept.
//
// Pure bookkeeping and judgement; the loop asks, writes and removes. A removed replica is told nothing by its group any
// more, so it asks: each second one of a node's groups, and each that knows of no leader, asks whoever leads whether it
// still belongs to it (BelongItem). Only a leader answers, and only "no" (LeftItem). Then, each step after the one
// before is durable:
//   1 the write-ahead log says that the node left the group, which voids what it says of the group's log and snapshot
//   2 the group's snapshots and its application's files are removed; until that is done no new replica is begun
// A crash before the first leaves the replica as it was, and it asks again; one after it is met by the next start,
// which finds a group that was left and has no log, and removes the files once more.
//
// Why this is safe. The membership that leaves the member out is committed and handed out, so every leader to come has
// it. Somebody who lacks it may still look for votes among the members of before, and the replica's may be the one that
// he needs: as long as it kept its log, it refused, for that was newer. So it goes on to refuse: term and vote stay in
// the log's hard state, and beside them the place up to which it knew the log to be committed (LeftGroup;
// LogSetup::left has what the core makes of it). For elections the replica is one that took a snapshot at that place,
// which any replica may at any time. Nor do its acknowledgements count for anything that others rely on: all up to that
// place is held by a majority without it. When the group takes the node in again, it does so as a learner, from
// nothing.
//
// A replica that cannot begin, because the snapshot that it needs is damaged, goes the same way, without being asked to
// and without having been removed. It is a voter as before: LogSetup::left says why that is safe.
//
// Why an answer is not too old. It names the leader's committed place. What a replica holds beyond that place it may
// have got from a leader that took it in again; so an answer from before its own last entry is not believed. One that
// takes in an empty replica again is begun anew with the leader's next message.
#pragma once

#include <cstdint>
#include <map>
#include <utility>
#include <vector>

#include "base/ids.h"
#include "base/membership.h"
#include "consensus/log_contract.h"
#include "node/frame.h"
#include "storage/wal.h"

namespace assent {

// Between two times that a group asks whether it still belongs.
inline constexpr std::uint64_t belong_ticks = 100;
// The protocol level (base/protocol_level.h) from which on a program knows the question.
inline constexpr std::uint32_t belong_level = 1;

// On a leader that has applied so much: the member left, and nothing can undo that.
[[nodiscard]] bool has_left(const LogStatus& leader, Index applied, const Member& member);

class Leaving {
 public:
  // Both from the write-ahead log (WalRecovery).
  Leaving(std::map<GroupId, LeftGroup> left, std::map<GroupId, Position> lost)
      : left_(std::move(left)), lost_(std::move(lost)) {}

  // It belonged to the group once, and was removed.
  [[nodiscard]] bool left(GroupId group) const { return left_.contains(group); }
  // For LogSetup: up to where its log went, when it was given up or entries of it were lost.
  [[nodiscard]] Position place(GroupId group) const;
  // Its files are not removed yet.
  [[nodiscard]] bool going(GroupId group) const { return going_.contains(group); }
  // Whether the answer is news to this replica.
  [[nodiscard]] bool believes(const LogStatus& replica, const LeftItem& answer) const;

  // What the batch of this ticket has to write.
  [[nodiscard]] LeftGroup begin(const LogStatus& replica, const LeftItem& answer, Wal::Ticket ticket);
  // The same for a replica whose log goes on from a snapshot that is damaged, and that its application needs: it gives
  // up what it has, which ended there, and is begun anew with the leader's next message.
  [[nodiscard]] LeftGroup give_up(GroupId group, const Position& end, Wal::Ticket ticket);
  // Those that are going, and whose record is durable up to this ticket.
  [[nodiscard]] std::vector<GroupId> logged(Wal::Ticket durable) const;
  // Its files are removed.
  void end(GroupId group) { going_.erase(group); }

 private:
  std::map<GroupId, LeftGroup> left_;
  std::map<GroupId, Position> lost_;
  std::map<GroupId, Wal::Ticket> going_;
};

}  // namespace assent
