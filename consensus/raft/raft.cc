#include "consensus/raft/raft.h"

#include <algorithm>
#include <type_traits>

#include "base/digest.h"
#include "base/planted.h"
#include "consensus/raft/hard_state.h"
#include "consensus/raft/message_codec.h"
#include "consensus/raft/raft_factory.h"

namespace assent::raft {
namespace {

// No group holds this many elections in its life. A larger jump is damage or malice, and believing it would use up the
// terms.
constexpr std::uint64_t term_jump_max = 1ULL << 32U;

std::vector<NodeId> ascending(std::vector<NodeId> nodes) {
  std::sort(nodes.begin(), nodes.end());
  nodes.erase(std::unique(nodes.begin(), nodes.end()), nodes.end());
  return nodes;
}

Membership founding(const LogSetup& setup) {
  Membership founders(ascending(setup.members));
  if (setup.founders.empty()) return founders;
  founders.voters = setup.founders;
  std::sort(founders.voters.begin(), founders.voters.end());
  return founders;
}

// Only the leader of the message's term sends these.
bool comes_from_leader(const Message& message) {
  return std::holds_alternative<AppendRequest>(message) || std::holds_alternative<Heartbeat>(message) ||
         std::holds_alternative<TimeoutNow>(message) || std::holds_alternative<Sleep>(message) ||
         std::holds_alternative<LeaseRequest>(message) || std::holds_alternative<ReadPointReply>(message);
}

bool wakes(const Message& message) {
  return !std::holds_alternative<Sleep>(message) && !std::holds_alternative<SleepReply>(message);
}

}  // namespace

Raft::Raft(const LogSetup& setup, const RaftOptions& options)
    : self_(setup.self, planted(Bug::disk_loss_forgotten) ? 0 : setup.incarnation),
      group_(setup.group),
      left_(planted(Bug::loss_forgotten) ? Position{} : setup.left),
      options_(options),
      rng_(Rng(setup.seed).split(fmt::format("raft {} {}", setup.group, setup.self))),
      silent_(!check_durable_log(setup.durable)) {
  const SnapshotMark& snapshot = setup.durable.snapshot;
  memberships_ = {snapshot.last.index, snapshot.members.empty() ? founding(setup) : snapshot.members};
  if (!silent_) {
    const HardState hard = *decode_hard_state(setup.durable.hard_state);
    term_ = hard.term;
    vote_ = planted(Bug::vote_forgotten) ? Member{} : hard.vote;
    log_ = RaftLog(setup.durable);
    adopt_from(setup.durable.entries);
    commit_ = handed_ = log_.snapshot().last.index;
  }
  options_.heartbeat_ticks = std::max(options_.heartbeat_ticks, 1U);
  Follower start = follower_of({});
  // Nobody is known to lead. Ask soon: if there is a leader, the others are loyal to it and nothing is disturbed.
  const bool alone = memberships_.current() == Membership{setup.self} && may_lead();
  start.timeout_ticks = alone ? 1 : 2 * options_.heartbeat_ticks + start.timeout_ticks - options_.election_ticks;
  role_ = start;
}

std::string_view Raft::role_name() const {
  constexpr std::array<std::string_view, 4> names{"follower", "pre-candidate", "candidate", "leader"};
  return names.at(role_.index());
}

bool Raft::plausible(Epoch term) const {
  return term.value < number_max && (term <= term_ || term.value - term_.value <= term_jump_max);
}

// ---- inputs ----

void Raft::tick() {
  if (silent_) return;
  ++ticks_;
  if (asleep_) return;
  Next next = std::visit([this](auto& role) { return on_tick(role); }, role_);
  if (next) enter(std::move(*next));
}

void Raft::receive(NodeId from, ByteView bytes) {
  if (silent_ || from.none() || from == self_.node) return ignore();
  const std::optional<Letter> letter = decode_letter(group_, bytes);
  if (!letter || letter->between.to != self_.incarnation || !plausible(term_of(letter->message))) return ignore();
  // Whether the sender belongs to the group is not asked: its log may know of a membership that is still unknown here
  // (4.1), and what it asks for is judged by terms and logs alone.
  const Member sender(from, letter->between.from);
  if (asleep_ && wakes(letter->message)) {
    wake_up(!comes_from_leader(letter->message) || term_of(letter->message) != term_);
  }
  if (!settle_term(sender, letter->message)) return;
  std::visit([this, &sender](const auto& m) { dispatch(sender, m); }, letter->message);
}

template <class M>
void Raft::dispatch(const Member& from, const M& message) {
  Next next = std::visit([&](auto& role) { return on(role, from, message); }, role_);
  if (next) enter(std::move(*next));
}

void Raft::durable(std::uint64_t output_number) {
  if (output_number <= durable_output_ || output_number > output_number_) return;
  durable_output_ = output_number;
  log_.durable(output_number);
  if (auto* leader = std::get_if<Leader>(&role_)) return advance_commit(*leader);
  auto* candidate = std::get_if<Candidate>(&role_);
  if (candidate == nullptr || !hard_state_durable()) return;
  candidate->tally.add(self_, true);  // 3.4: a vote counts when it cannot be forgotten any more, the own one too
  Next next = try_to_lead(*candidate);
  if (next) enter(std::move(*next));
}

// ---- terms ----

// The one place where terms are compared (3.3). True when the message is of the present term and for the role to
// handle.
bool Raft::settle_term(const Member& from, const Message& message) {
  if (const auto* request = std::get_if<PreVoteRequest>(&message)) {
    answer_pre_vote(from, *request);  // changes no term on either side
    return false;
  }
  const Epoch term = term_of(message);
  if (term < term_) {
    if (planted(Bug::stale_append_reply) && std::holds_alternative<AppendAccept>(message)) return true;
    answer_stale(from, message);
    return false;
  }
  const auto* request = std::get_if<VoteRequest>(&message);
  if (request != nullptr && !request->forced && promised()) {
    narrate("ignores the vote request {} of n{}: it has promised", term, from);
    return false;
  }
  if (term > term_) {
    if (request != nullptr && !request->forced && loyal()) {
      narrate("ignores the vote request {} of n{}: a leader is alive", term, from);
      return false;
    }
    enter_term(term);
  }
  return !comes_from_leader(message) || follow(from);
}

void Raft::answer_stale(const Member& from, const Message& message) {
  if (comes_from_leader(message)) {
    // Without this answer a node that got ahead in terms could never be led again: loyal voters ignore its campaign.
    send_after_sync(from, StaleTerm{.term = term_});
  } else if (std::holds_alternative<VoteRequest>(message)) {
    send_after_sync(from, VoteReply{.term = term_, .granted = false});
  } else if (const auto* reply = std::get_if<PreVoteReply>(&message)) {
    dispatch(from, *reply);  // a voter may be behind in terms and still grant the next one
    return;
  }
  ignore();
}

void Raft::enter_term(Epoch term) {
  narrate("enters term {}, was {} in term {}", term, role_name(), term_);
  term_ = term;
  vote_ = {};
  hard_dirty_ = true;
  accept_.reset();  // owed to a leader of the past
  enter(follower_of({}));
}

// The sender leads the present term. False when that cannot be: this node leads it, or follows another one in it.
// No node leads a term in two incarnations: whoever was elected is known to a majority of those that would elect again.
bool Raft::follow(const Member& leader) {
  if (auto* follower = std::get_if<Follower>(&role_); follower != nullptr && !follower->leader.none()) {
    if (follower->leader.node == leader.node) {
      follower->leader = leader;
      follower->uncertain = false;
      return true;
    }
    ignore();
    return false;
  }
  if (std::holds_alternative<Leader>(role_)) {
    ignore();
    return false;
  }
  narrate("follows n{} in term {}", leader, term_);
  enter(follower_of(leader));
  return true;
}

void Raft::enter(Role next) {
  if (auto* leader = std::get_if<Leader>(&role_)) leader->reads.abandon(out_.reads_lost);
  role_ = std::move(next);
  asleep_ = false;
}

// ---- output ----

Bytes Raft::letter(const Member& to, const Message& message) const {
  return encode(group_, message, {.from = self_.incarnation, .to = to.incarnation});
}

void Raft::send_now(const Member& to, const Message& message) {
  out_.send_now.push_back({to.node, letter(to, message)});
}

void Raft::send_after_sync(const Member& to, const Message& message) {
  out_.send_after_sync.push_back({to.node, letter(to, message)});
}

Output Raft::take_output() {
  settle_membership();
  if (auto* leader = std::get_if<Leader>(&role_)) flush(*leader);
  if (accept_) {
    const AppendAccept accept{.term = term_, .match = accept_->second};
    planted(Bug::append_reply_before_sync) ? send_now(accept_->first, accept) : send_after_sync(accept_->first, accept);
  }
  accept_.reset();
  Output out = std::exchange(out_, {});
  out.number = ++output_number_;
  if (std::exchange(hard_dirty_, false)) {
    out.hard_state = encode_hard_state({.term = term_, .vote = vote_});
    hard_output_ = out.number;
  }
  out.install = std::exchange(install_, std::nullopt);
  out.append = log_.take_unsaved(out.number);
  hand_out_committed(out);
  if (const Leadership now = leadership(); now != reported_) {
    out.leadership = now;
    reported_ = now;
  }
  if (std::exchange(reported_members_, memberships_.version()) != memberships_.version()) {
    out.membership = memberships_.current();
  }
  return out;
}

bool Raft::has_output() const {
  const auto* leader = std::get_if<Leader>(&role_);
  return accept_ || hard_dirty_ || install_ || handed_ < commit_ || log_.has_unsaved() || out_.has_news() ||
         leadership() != reported_ || memberships_.version() != reported_members_ ||
         (leader != nullptr && has_to_send(*leader));
}

void Raft::hand_out_committed(Output& out) {
  if (handed_ >= commit_) return;
  out.committed = log_.slice(handed_.next(), commit_, options_.committed_bytes_max);
  handed_ = out.committed.back()->index;
}

Leadership Raft::leadership() const {
  if (const auto* leader = std::get_if<Leader>(&role_)) {
    const bool ready = handed_ >= leader->epoch_start || planted(Bug::ready_too_early);
    return {.epoch = term_, .leader = self_.node, .self_leads = true, .self_ready = ready};
  }
  const auto* follower = std::get_if<Follower>(&role_);
  return {.epoch = term_, .leader = follower != nullptr ? follower->leader.node : NodeId{}};
}

// ---- snapshots (chapter 5) ----

void Raft::snapshot_taken(const SnapshotMark& mark) {
  if (mark.last.index <= log_.snapshot().last.index || mark.last.index > handed_ || !log_.holds(mark.last)) return;
  log_.compact(mark, options_.tail_entries_max, options_.tail_bytes_max);
  memberships_.forget_before(log_.base().index);
  narrate("has a snapshot at {}, keeps entries from {}", mark.last.index, log_.first_index());
}

// A snapshot holds only what was committed, so it is good whatever term it was sent in; only the sender's claim to lead
// depends on the term. Entries that it replaces lie before it, or contradict it and so were never committed.
void Raft::receive_snapshot(NodeId from, Epoch epoch, const SnapshotMark& mark) {
  const bool sane =
      mark.last.epoch <= epoch && !mark.last.epoch.none() && mark.last.index.value < number_max && mark.members.valid();
  if (silent_ || from.none() || from == self_.node || !plausible(epoch) || !sane) return ignore();
  wake_up(true);
  if (epoch > term_) enter_term(epoch);
  const bool current = epoch == term_;
  const Member sender = sender_of_snapshot(from, mark);
  if (current && !follow(sender)) return;
  if (!std::holds_alternative<Follower>(role_)) return ignore();
  if (mark.last.index <= commit_) {
    narrate("ignores the snapshot at {}: committed {}", mark.last.index, commit_);
  } else if (log_.holds(mark.last)) {
    commit_to(mark.last.index);
  } else {
    install(mark);
  }
  if (current) accept(sender, mark.last.index);  // a match further on is acknowledged with the entries that make it
}

// The host says which node it came from, not in which incarnation. A wrong guess costs the acknowledgement, and the
// next heartbeat says better.
Member Raft::sender_of_snapshot(NodeId from, const SnapshotMark& mark) const {
  const auto* follower = std::get_if<Follower>(&role_);
  if (follower != nullptr && follower->leader.node == from) return follower->leader;
  const Member voter = mark.members.voter_on(from);
  return voter.none() ? Member(from) : voter;
}

void Raft::install(const SnapshotMark& mark) {
  narrate("installs the snapshot at {}, log was {}@{}", mark.last.index, log_.last().epoch, log_.last_index());
  log_.install(mark);
  commit_ = handed_ = mark.last.index;
  memberships_.restart(mark.last.index, mark.members);
  install_ = mark;
}

void Raft::snapshot_sent(NodeId to, bool delivered) {
  auto* leader = std::get_if<Leader>(&role_);
  if (leader == nullptr) return;
  for (Peer& peer : leader->peers) {
    if (peer.member.node != to) continue;
    // A follower may need long to make a delivered snapshot durable; one that was not delivered is tried again soon.
    peer.progress.snapshot_ended(delivered ? 10 * options_.election_ticks : options_.heartbeat_ticks);
  }
}

Result<SnapshotMark> Raft::mark_at(Index index) const {
  if (index == log_.snapshot().last.index && !index.none()) return log_.snapshot();
  if (index > handed_ || !log_.in_memory(index)) {
    return fail(ErrorCode::compacted,
                fmt::format("no mark at index {}: handed out are {} to {}", index, log_.first_index(), handed_));
  }
  const Entry& entry = *log_.at(index);
  return SnapshotMark{.last = {entry.epoch, entry.index}, .stamp = entry.stamp, .members = memberships_.at(index)};
}

// ---- looking in ----

LogStatus Raft::status() const {
  LogStatus status{.leadership = leadership(),
                   .first = log_.first_index(),
                   .last = log_.last_index(),
                   .last_epoch = log_.last().epoch,
                   .committed = commit_,
                   .snapshot = log_.snapshot(),
                   .log_bytes = log_.bytes(),
                   .ignored_messages = ignored_,
                   .members = memberships_.current(),
                   .members_since = memberships_.since(),
                   .asleep = asleep_,
                   .reads_by_lease = reads_by_lease_,
                   .peers = {}};
  if (const auto* leader = std::get_if<Leader>(&role_)) {
    for (const Peer& peer : leader->peers) {
      status.peers.push_back({peer.member, peer.progress.match(), peer.progress.recently_active});
    }
  }
  return status;
}

std::uint64_t Raft::digest() const {
  Digest digest;
  digest.add(self_.incarnation).add(encode_membership(memberships_.current())).add(memberships_.since());
  digest.add(term_)
      .add(vote_.node)
      .add(vote_.incarnation)
      .add(commit_)
      .add(handed_)
      .add(output_number_)
      .add(durable_output_)
      .add(ignored_);
  digest.add(role_.index()).add(Rng(rng_).next()).add(ticks_ % options_.heartbeat_ticks);
  if (asleep_) digest.add(std::string_view("asleep"));
  if (left_ != Position{}) digest.add(left_.epoch).add(left_.index);
  if (promised()) digest.add(promised_until_ - std::min(clock_, promised_until_));
  if (!points_.empty()) digest.add(clock_ - std::min(clock_, points_.newest_asked()));
  digest.add(log_.base().epoch).add(log_.base().index).add(log_.last().epoch).add(log_.last_index());
  digest.add(log_.last_stamp()).add(log_.bytes()).add(log_.durable_index()).add(log_.snapshot().last.index);
  std::visit(
      [&digest](const auto& role) {
        using R = std::decay_t<decltype(role)>;
        if constexpr (std::is_same_v<R, Leader>) {
          digest.add(role.epoch_start).add(role.reads.round()).add(role.reads.size()).add(role.uncommitted_bytes);
          digest.add(role.quorum_ticks).add(role.transfer ? role.transfer->to.node : NodeId{});
          for (const Peer& peer : role.peers) {
            digest.add(peer.member.node)
                .add(peer.member.incarnation)
                .add(static_cast<std::uint64_t>(peer.progress.state()))
                .add(peer.progress.match());
            digest.add(peer.progress.next()).add(peer.progress.inflight()).add(peer.progress.round_answered);
          }
        } else {
          digest.add(role.elapsed_ticks).add(role.timeout_ticks);
          if constexpr (std::is_same_v<R, Follower>) {
            digest.add(role.leader.node).add(role.leader.incarnation);
          } else {
            for (const auto& [voter, granted] : role.tally.votes()) digest.add(voter.node).add(granted ? 1 : 0);
          }
        }
      },
      role_);
  return digest.value();
}

}  // namespace assent::raft
