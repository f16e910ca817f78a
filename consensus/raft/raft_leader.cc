// Leaders: proposals, replication with a window, commitment, read barriers, check-quorum, hand-over.
#include <algorithm>
#include <utility>

#include "base/planted.h"
#include "consensus/raft/message_codec.h"
#include "consensus/raft/raft.h"

namespace assent::raft {

Leader Raft::lead() {
  Leader role;
  follow_membership(role, log_.last_index().next());
  for (Index index = commit_.next(); log_.in_memory(index); index = index.next()) {
    role.uncommitted_bytes += entry_bytes(*log_.at(index));
  }
  // 3.6.2: entries of older terms become committed only under one of the own term. 6.4: so do reads.
  role.epoch_start = append(role, EntryKind::epoch_start, {}, log_.last_stamp()).index;
  narrate("leads term {} from index {}", term_, role.epoch_start);
  return role;
}

// ---- inputs from the host ----

Result<Position> Raft::propose(Bytes command, ClusterMillis now) {
  auto* role = std::get_if<Leader>(&role_);
  if (role == nullptr) return fail(ErrorCode::not_leader, "this replica does not lead the group", leadership().leader);
  if (command.size() > options_.command_bytes_max) {
    return fail(ErrorCode::refused,
                fmt::format("the command has {} bytes, more than the {} that one log entry may have", command.size(),
                            options_.command_bytes_max));
  }
  if (role->transfer) return fail(ErrorCode::busy, "leadership is being handed over; retry");
  if (auto room = make_room(*role, command.size() + entry_overhead_bytes); !room) return fail(room.error());
  wake_up(false);
  return append(*role, EntryKind::command, std::move(command), now);
}

Result<void> Raft::make_room(const Leader& role, std::size_t bytes) const {
  if (role.uncommitted_bytes > 0 && role.uncommitted_bytes + bytes > options_.uncommitted_bytes_max) {
    return fail(ErrorCode::busy, "too many bytes wait to be committed; retry later");
  }
  if (log_.bytes() + bytes > options_.log_bytes_max) {
    return fail(ErrorCode::busy, "the log in memory is full until the next snapshot; retry later");
  }
  return {};
}

Position Raft::append(Leader& role, EntryKind kind, Bytes payload, ClusterMillis now) {
  auto entry = std::make_shared<const Entry>(Entry{.epoch = term_,
                                                   .index = log_.last_index().next(),
                                                   .stamp = std::max(now, log_.last_stamp()),
                                                   .kind = kind,
                                                   .payload = std::move(payload)});
  role.uncommitted_bytes += entry_bytes(*entry);
  log_.append(entry);
  return {entry->epoch, entry->index};
}

Result<void> Raft::request_read(ReadId id) {
  auto* role = std::get_if<Leader>(&role_);
  if (role == nullptr || handed_ < role->epoch_start) {
    return fail(ErrorCode::not_leader, "this replica does not lead the group, or not yet for sure",
                leadership().leader);
  }
  if (role->reads.size() >= options_.reads_max) return fail(ErrorCode::busy, "too many reads under way; retry later");
  if (leased(*role)) {
    out_.reads.push_back({id, commit_});
    ++reads_by_lease_;
    return {};
  }
  wake_up(false);
  role->reads.add(id, commit_);
  return {};
}

void Raft::transfer_leadership(NodeId to) {
  auto* role = std::get_if<Leader>(&role_);
  const Member voter = memberships_.current().voter_on(to);
  if (role == nullptr || role->find(voter) == nullptr || role->transfer) return;
  wake_up(false);
  narrate("hands over to n{}", to);
  role->transfer = Transfer{.to = voter};
  hand_over_if_ready(*role);
}

// ---- time ----

Raft::Next Raft::on_tick(Leader& role) {
  for (Peer& peer : role.peers) peer.progress.tick();
  if (role.transfer && ++role.transfer->elapsed_ticks >= options_.election_ticks) {
    narrate("gives up handing over to n{}", role.transfer->to);
    role.transfer.reset();
  }
  if (++role.quorum_ticks >= options_.election_ticks) {
    role.quorum_ticks = 0;
    if (!majority_is_active(role)) {
      narrate("steps down in term {}: heard from no majority", term_);
      return follower_of({});
    }
  }
  // Counted by the replica, not since the election: all groups that this node leads beat at once, in one frame.
  const bool drowsy = is_drowsy(role);
  if (ticks_ % options_.heartbeat_ticks == 0) {
    drowsy ? put_to_sleep(role) : send_heartbeats(role);
    if (!drowsy) ask_for_lease(role);
    if (role.transfer) hand_over_if_ready(role);
    return std::nullopt;
  }
  // A commit index that no request is under way to carry is told within a tick.
  for (Peer& peer : role.peers) {
    const Progress& progress = peer.progress;
    if (!progress.waiting() && progress.commit_told < std::min(progress.match(), commit_)) send_heartbeat(role, peer);
  }
  return std::nullopt;
}

bool Raft::majority_is_active(Leader& role) {
  const bool enough =
      agreed(role, 1, [](const Progress& progress) -> std::uint64_t { return progress.recently_active ? 1 : 0; }) > 0;
  for (Peer& peer : role.peers) peer.progress.recently_active = false;
  return enough;
}

// ---- answers ----

Raft::Next Raft::on(Leader& role, const Member& from, const AppendAccept& message) {
  Progress* progress = role.find(from);
  if (progress == nullptr || message.match > log_.last_index()) {
    ignore();
    return std::nullopt;
  }
  progress->heard();
  const Index before = progress->match();
  progress->accepted(message.match, message.match >= log_.base().index);
  if (progress->match() > before) advance_commit(role);
  if (role.transfer && role.transfer->to == from) hand_over_if_ready(role);
  return std::nullopt;
}

Raft::Next Raft::on(Leader& role, const Member& from, const AppendReject& message) {
  Progress* progress = role.find(from);
  if (progress == nullptr) {
    ignore();
    return std::nullopt;
  }
  progress->heard();
  const Index suggested = log_.last_not_newer(message.hint.index, message.hint.epoch).next();
  // No answer, but a word by itself (no_request). What was committed stays so, whatever it says.
  if (message.rejected > log_.last_index()) {
    if (planted(Bug::loss_unheard) || !progress->lost(suggested)) {
      ignore();
    } else {
      narrate("hears that n{} lost what comes after {}", from, progress->match());
    }
    return std::nullopt;
  }
  if (progress->rejected(message.rejected, suggested)) {
    narrate("probes n{} from {}", from, progress->next());
  } else {
    ignore();
  }
  return std::nullopt;
}

Raft::Next Raft::on(Leader& role, const Member& from, const HeartbeatReply& message) {
  Progress* progress = role.find(from);
  if (progress == nullptr || message.round > role.reads.round()) {
    ignore();
    return std::nullopt;
  }
  progress->alive(log_.last_index());
  progress->round_answered = std::max(progress->round_answered, message.round);
  confirm_reads(role);
  return std::nullopt;
}

// ---- commitment ----

void Raft::advance_commit(Leader& role) {
  const Index own = planted(Bug::leader_counts_itself_early) ? log_.last_index() : log_.durable_index();
  const Index reached(agreed(role, own.value, [](const Progress& progress) { return progress.match().value; }));
  // 3.6.2 and Figure 3.7: only entries of the own term are committed by counting; older ones follow with them.
  if (reached <= commit_) return;
  if (log_.epoch_at(reached) != term_ && !planted(Bug::older_term_by_count)) return;
  for (Index index = commit_.next(); index <= reached; index = index.next()) {
    role.uncommitted_bytes -= entry_bytes(*log_.at(index));
  }
  commit_to(reached);
}

void Raft::confirm_reads(Leader& role) {
  const std::uint64_t answered =
      agreed(role, role.reads.round(), [](const Progress& progress) { return progress.round_answered; });
  const std::uint64_t asked = planted(Bug::read_without_quorum) ? role.reads.round() : 0;
  role.reads.answered(std::max(answered, asked), out_.reads);
  for (const ReadBarriers::Point& point : role.reads.points_answered(answered)) give_point(point);
}

void Raft::hand_over_if_ready(Leader& role) {
  const Progress* progress = role.find(role.transfer->to);
  if (progress == nullptr || progress->match() != log_.last_index()) return;
  role.lease_over = !planted(Bug::lease_outlives_transfer);
  send_now(role.transfer->to, TimeoutNow{.term = term_});
}

// ---- sending ----

void Raft::send_heartbeats(Leader& role) {
  for (Peer& peer : role.peers) send_heartbeat(role, peer);
}

void Raft::send_heartbeat(const Leader& role, Peer& peer) {
  const Index commit = std::min(peer.progress.match(), commit_);
  peer.progress.commit_told = std::max(peer.progress.commit_told, commit);
  send_now(peer.member, Heartbeat{.term = term_, .commit = commit, .round = role.reads.round()});
}

void Raft::flush(Leader& role) {
  if (role.reads.begin_round()) {
    send_heartbeats(role);
    confirm_reads(role);  // a group of one is its own majority
  }
  EncodedAppend newest;
  for (Peer& peer : role.peers) replicate(peer, newest);
}

bool Raft::may_send_to(const Progress& progress) const {
  const Window window{.messages_max = options_.inflight_max, .bytes_max = options_.inflight_bytes_max};
  return progress.may_send(window) && progress.next() <= log_.last_index();
}

bool Raft::has_to_send(const Leader& role) const {
  return role.reads.wants_round() || std::any_of(role.peers.begin(), role.peers.end(), [this](const Peer& peer) {
           return peer.progress.has_question() || may_send_to(peer.progress);
         });
}

void Raft::replicate(Peer& peer, EncodedAppend& newest) {
  Progress& progress = peer.progress;
  while (may_send_to(progress)) {
    if (progress.next() < log_.first_index()) return send_snapshot(peer);
    send_entries(peer, log_.slice(progress.next(), log_.last_index(), options_.append_bytes_max), newest);
  }
  if (!progress.take_question()) return;
  if (progress.next() < log_.first_index()) return send_snapshot(peer);  // what was sent may be lost, and is gone here
  send_entries(peer, {}, newest);
}

void Raft::send_snapshot(Peer& peer) {
  if (!peer.progress.recently_active) return;  // nobody there to take it
  narrate("has a snapshot sent to n{}: entries before {} are gone", peer.member, log_.first_index());
  peer.progress.begin_snapshot();
  out_.snapshots_to_send.push_back({.to = peer.member.node, .epoch = term_});
}

void Raft::send_entries(Peer& peer, std::vector<EntryPtr> entries, EncodedAppend& newest) {
  Progress& progress = peer.progress;
  const Index prev = progress.next().previous();
  const Index end(prev.value + entries.size());
  std::size_t bytes = 0;
  for (const EntryPtr& entry : entries) bytes += entry_bytes(*entry);
  if (!entries.empty()) progress.sent(end, bytes);
  progress.commit_told = std::max(progress.commit_told, std::min(commit_, end));
  const std::uint64_t incarnation = peer.member.incarnation;
  if (newest.bytes.empty() || newest.prev != prev || newest.end != end || newest.incarnation != incarnation) {
    newest = {prev, end, incarnation,
              letter(peer.member, AppendRequest{.term = term_,
                                                .prev = {log_.epoch_at(prev).value_or(Epoch{}), prev},
                                                .commit = commit_,
                                                .entries = std::move(entries)})};
  }
  out_.send_now.push_back({peer.member.node, newest.bytes});
}

}  // namespace assent::raft
