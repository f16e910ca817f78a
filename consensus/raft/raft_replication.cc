// Followers: storing what the leader sends (dissertation 3.5).
#include <algorithm>
#include <span>

#include "base/planted.h"
#include "consensus/raft/message_codec.h"
#include "consensus/raft/raft.h"

namespace assent::raft {

Raft::Next Raft::on(Follower& role, const Member& from, const AppendRequest& message) {
  role.elapsed_ticks = 0;
  if (install_) return std::nullopt;  // the install leaves alone; the leader repeats itself
  std::span<const EntryPtr> entries = message.entries;
  const Index end(message.prev.index.value + entries.size());
  if (end <= commit_) {
    accept(from, commit_);  // what is committed is in every later leader's log (3.6.3)
    return std::nullopt;
  }
  if (message.prev.index < commit_) {
    entries = entries.subspan(commit_.value - message.prev.index.value);
  } else if (!log_.holds(message.prev)) {
    reject(from, message.prev);
    return std::nullopt;
  }
  while (!entries.empty() && log_.holds({entries.front()->epoch, entries.front()->index})) entries = entries.subspan(1);
  store(from, entries, end, message.commit);
  return std::nullopt;
}

// entries: those that the log does not hold yet; end: where the log is known to match the leader's afterwards.
void Raft::store(const Member& leader, std::span<const EntryPtr> entries, Index end, Index leader_commit) {
  if (!entries.empty()) {
    // An entry below commit_ never differs from an honest leader's.
    if (entries.front()->index <= commit_ || !log_.fits(entries)) return ignore();
    if (log_.bytes() > options_.log_bytes_max + options_.uncommitted_bytes_max) {
      narrate("takes no entries until a snapshot makes room");
      commit_to(std::min(leader_commit, entries.front()->index.previous()));
      return;  // as if lost: heartbeats go on, and the leader asks again at their pace
    }
    if (entries.front()->index <= log_.last_index()) narrate("cuts off its log from {}", entries.front()->index);
    log_.replace(entries);
    if (!planted(Bug::change_survives_truncation)) memberships_.cut_from(entries.front()->index);
    adopt_from(entries);
  }
  commit_to(std::min(leader_commit, end));
  accept(leader, end);
}

void Raft::reject(const Member& leader, const Position& prev) {
  // 3.5, faster back-off: where the logs part is at or before the last place that is not newer than the leader's.
  const Index hint = std::max(commit_, log_.last_not_newer(prev.index, prev.epoch));
  const Position at{log_.epoch_at(hint).value_or(Epoch{}), hint};
  narrate("rejects entries after {}@{}: has {}@{}", prev.epoch, prev.index, log_.last().epoch, log_.last_index());
  send_after_sync(leader, AppendReject{.term = term_, .rejected = prev.index, .hint = at});
}

void Raft::accept(const Member& leader, Index match) {
  if (accept_) match = std::max(match, accept_->second);
  accept_ = {leader, match};
}

Raft::Next Raft::on(Follower& role, const Member& from, const Heartbeat& message) {
  role.elapsed_ticks = 0;
  commit_to(std::min(message.commit, log_.last_index()));
  answer_leader(from, HeartbeatReply{.term = term_, .round = message.round});
  tell_loss(from, message.commit);
  return std::nullopt;
}

// believed: what the leader takes this log to match at least. What matches only grows while a leader's term lasts, but
// for damage: whoever has less has lost entries that it had acknowledged, and the leader may have nothing else to send
// by which that would come out. What is left is the beginning of what matched. Damage to what is acknowledged and not
// committed yet comes out no later: with the leader's next entries, or when it is committed.
void Raft::tell_loss(const Member& leader, Index believed) {
  if (believed <= log_.last_index()) return;
  narrate("has lost what comes after {}@{}: n{} speaks of {}", log_.last().epoch, log_.last_index(), leader, believed);
  answer_leader(leader, AppendReject{.term = term_, .rejected = no_request, .hint = log_.last()});
}

void Raft::commit_to(Index index) {
  if (index <= commit_) return;
  commit_ = index;
  narrate("commits up to {}", commit_);
}

}  // namespace assent::raft
