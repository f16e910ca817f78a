// A live Raft core among peers that may say anything, with a disk that syncs when the input says so: raw bytes,
// messages made of small numbers, time, proposals, changes of the members, reads, snapshots, restarts. Lies may stop it
// from getting anywhere; they may not crash it, and not make it take back what it handed out as committed or promised
// on disk, or take anybody for a member but whom the end of its log says.
#include <algorithm>
#include <deque>
#include <map>
#include <memory>

#include "base/check.h"
#include "consensus/raft/hard_state.h"
#include "consensus/raft/message_codec.h"
#include "consensus/raft/raft_factory.h"
#include "fuzz/fuzz.h"
#include "fuzz/input.h"

namespace assent::fuzz {
namespace {

constexpr NodeId self{1};
constexpr GroupId group{5};
const std::vector<NodeId> members{NodeId(1), NodeId(2), NodeId(3)};

RaftOptions small_options(std::uint64_t choices) {
  RaftOptions options;
  options.election_ticks = 4;
  options.heartbeat_ticks = 1;
  options.command_bytes_max = 64;
  options.reads_max = 2;
  options.tail_entries_max = choices & 1U;
  options.narrate = (choices & 2U) != 0;
  if ((choices & 4U) != 0) {
    options.append_bytes_max = 100;
    options.inflight_max = 2;
    options.inflight_bytes_max = 300;
    options.uncommitted_bytes_max = 500;
    options.log_bytes_max = 1'000;
    options.committed_bytes_max = 100;
  }
  if ((choices & 8U) != 0) options.sleep_ticks = 2;
  if ((choices & 16U) != 0) {
    options.promise_micros = 4'000;
    options.lease_micros = 3'000;
  }
  return options;
}

Member member(Input& input) {
  const NodeId node(1 + input.below(4));
  return {node, input.below(2)};
}

// Mostly of two voters or three.
Membership membership(Input& input) {
  Membership of = members;
  const auto put = [&](std::vector<Member>& list) {
    list.push_back(member(input));
    std::sort(list.begin(), list.end());
    list.erase(std::unique(list.begin(), list.end()), list.end());
  };
  switch (input.below(6)) {
    case 0: of.voters.pop_back(); break;
    case 1: put(of.voters); break;
    case 2: put(of.learners); break;
    case 3: put(of.outgoing); break;
    case 4: of = Membership{NodeId(1 + input.below(3))}; break;
    default: break;
  }
  return of;
}

std::vector<MemberChange> member_changes(Input& input) {
  std::vector<MemberChange> changes;
  for (std::uint64_t left = 1 + input.below(3); left > 0; --left) {
    const auto kind = MemberChange::Kind(input.below(3));
    changes.push_back({kind, member(input)});
  }
  return changes;
}

Position position(Input& input) {
  const Epoch epoch(input.number());
  return {epoch, Index(input.number())};
}

raft::AppendRequest append_request(Input& input, Epoch term) {
  raft::AppendRequest request{.term = term, .prev = position(input), .commit = Index(input.number()), .entries = {}};
  Position last = request.prev;
  std::uint64_t stamp = input.number();
  for (std::uint64_t left = input.below(4); left > 0; --left) {
    last = {Epoch(last.epoch.value + input.below(3)), last.index.next()};
    stamp += input.below(3);
    const auto kind = EntryKind(input.below(3));
    Bytes payload = kind == EntryKind::membership ? encode_membership(membership(input)) : Bytes(input.piece());
    request.entries.push_back(
        std::make_shared<const Entry>(Entry{last.epoch, last.index, ClusterMillis(stamp), kind, std::move(payload)}));
  }
  return request;
}

raft::Message message(Input& input) {
  const std::uint64_t kind = input.below(15);
  const Epoch term(input.number());
  switch (kind) {
    case 0: return raft::PreVoteRequest{term, position(input)};
    case 1: return raft::PreVoteReply{term, Epoch(input.number()), input.flag()};
    case 2: return raft::VoteRequest{term, position(input), input.flag()};
    case 3: return raft::VoteReply{term, input.flag()};
    case 4: return append_request(input, term);
    case 5: return raft::AppendAccept{term, Index(input.number())};
    case 6: {
      const Index rejected(input.number());
      return raft::AppendReject{term, rejected, position(input)};
    }
    case 7: {
      const Index commit(input.number());
      return raft::Heartbeat{term, commit, input.number()};
    }
    case 8: return raft::HeartbeatReply{term, input.number()};
    case 9: return raft::TimeoutNow{term};
    case 11: {
      const Index last(input.number());
      return raft::Sleep{term, last, input.number()};
    }
    case 12: return raft::SleepReply{term, input.number()};
    case 13: return raft::LeaseRequest{term, input.number()};
    case 14: return raft::LeaseGrant{term, input.number()};
    default: return raft::StaleTerm{term};
  }
}

class Node {
 public:
  explicit Node(std::uint64_t choices) : factory_(make_raft_factory(small_options(choices))) { start(); }

  void step(Input& input) {
    switch (input.below(17)) {
      case 0:
      case 1:
        for (std::uint64_t ticks = input.below(16); ticks > 0; --ticks) log_->tick();
        return;
      case 2: {
        const NodeId from(input.below(5));
        return log_->receive(from, input.piece());
      }
      case 3:
      case 4:
      case 5: {
        const Member from = member(input);
        return log_->receive(from.node, raft::encode(group, message(input), {.from = from.incarnation, .to = 0}));
      }
      case 6: return take();
      case 7: return sync(1 + input.below(3));
      case 8: {
        const ClusterMillis now(input.number());
        return static_cast<void>(log_->propose(Bytes(input.piece()), now));
      }
      case 9: return static_cast<void>(log_->request_read(ReadId(input.number())));
      case 10: return snapshot(Index(input.number()));
      case 11: {
        const NodeId from(1 + input.below(4));
        const Epoch epoch(input.number());
        return log_->receive_snapshot(from, epoch, mark(input));
      }
      case 12: {
        const NodeId peer(input.below(5));
        return input.flag() ? log_->transfer_leadership(peer) : log_->snapshot_sent(peer, input.flag());
      }
      case 13: {
        const ClusterMillis now(input.number());
        return static_cast<void>(log_->change_membership(member_changes(input), now));
      }
      case 14: return restart(input.below(4));
      case 15: {
        micros_ += input.number();
        return log_->set_clock(micros_);
      }
      default: return sleep(input);
    }
  }

  // What a host does about it: says whether anything is under way, and wakes a sleeper.
  void sleep(Input& input) {
    if (!log_->asleep()) return log_->set_idle(input.flag());
    Slept slept;
    slept.ticks = input.number();
    log_->wake(slept);
  }

  void finish() {
    take();
    sync(writes_.size());
    take();
    restart(0);
    take();
  }

 private:
  struct Write {
    std::uint64_t number = 0;
    Output output;
    std::optional<SnapshotMark> compact;
  };

  void start() {
    auto made = factory_(LogSetup{self, group, members, 7, durable_});
    require(made.has_value(), "a core goes on with what it had stored");
    log_ = std::move(*made);
    handed_ = durable_.snapshot.last.index;
    written_ = durable_;
  }

  static SnapshotMark mark(Input& input) {
    const Position last = position(input);
    SnapshotMark mark{last, ClusterMillis(input.number()), members};
    if (input.below(8) == 7) mark.members = {NodeId(input.below(5)), NodeId(input.below(5))};  // or none that may be
    if (input.below(8) == 6) mark.members = membership(input);
    return mark;
  }

  void take() {
    Output out = log_->take_output();
    if (out.install) {
      require(out.install->last.index > handed_, "an install goes beyond what was handed out");
      handed_ = out.install->last.index;
      require(out.append.empty(), "an install comes without entries");
    }
    if (!out.append.empty()) {
      require(out.append.front()->index > handed_, "what was handed out as committed is not replaced");
      for (std::size_t i = 1; i < out.append.size(); ++i) {
        require(out.append[i]->index == out.append[i - 1]->index.next(), "appended entries have no gap");
      }
    }
    for (const EntryPtr& entry : out.committed) {
      require(entry->index == handed_.next(), "committed entries come in order, each once");
      handed_ = entry->index;
      const auto [known, fresh] = committed_.emplace(entry->index, entry);
      require(fresh || *known->second == *entry, "a committed entry never changes");
    }
    write_log(out, written_);
    require(log_->status().members == members_of(written_), "the members are those that the end of the log says");
    writes_.push_back({out.number, std::move(out), {}});
  }

  static Membership members_of(const DurableLog& log) {
    const auto newest = std::find_if(log.entries.rbegin(), log.entries.rend(),
                                     [](const EntryPtr& entry) { return entry->kind == EntryKind::membership; });
    if (newest != log.entries.rend()) return decode_membership((*newest)->payload).value();
    return log.snapshot.members.empty() ? members : log.snapshot.members;
  }

  void sync(std::size_t count) {
    for (; count > 0 && !writes_.empty(); --count) {
      const std::uint64_t number = writes_.front().number;
      write(writes_.front());
      writes_.pop_front();
      if (number > 0) log_->durable(number);
    }
  }

  void write(const Write& write) {
    const Output& out = write.output;
    if (out.hard_state) {
      const auto before = raft::decode_hard_state(durable_.hard_state);
      const auto after = raft::decode_hard_state(*out.hard_state);
      require(before && after && after->term >= before->term, "a term never goes back");
      const bool same_vote = before->vote.none() || after->vote == before->vote;
      require(after->term > before->term || same_vote, "a vote is given once a term");
      durable_.hard_state = *out.hard_state;
    }
    write_log(out, durable_);
    if (write.compact) compact(*write.compact, durable_);
  }

  static void write_log(const Output& out, DurableLog& log) {
    if (out.install) log = {log.hard_state, *out.install, {}};
    if (out.append.empty()) return;
    std::erase_if(log.entries, [&](const EntryPtr& e) { return e->index >= out.append.front()->index; });
    log.entries.insert(log.entries.end(), out.append.begin(), out.append.end());
  }

  static void compact(const SnapshotMark& mark, DurableLog& log) {
    if (mark.last.index <= log.snapshot.last.index) return;
    log.snapshot = mark;
    std::erase_if(log.entries, [&](const EntryPtr& e) { return e->index <= mark.last.index; });
  }

  void snapshot(Index index) {
    if (index > handed_) return;
    const auto found = log_->mark_at(index);
    if (!found) return;
    log_->snapshot_taken(*found);
    compact(*found, written_);
    writes_.push_back({0, {}, *found});
  }

  // The first of what was on its way reached the disk.
  void restart(std::size_t surviving) {
    for (; surviving > 0 && !writes_.empty(); --surviving) {
      write(writes_.front());
      writes_.pop_front();
    }
    writes_.clear();
    start();
  }

  LogFactory factory_;
  DurableLog durable_;
  DurableLog written_;  // durable or not: the log as the core has it
  std::unique_ptr<ReplicatedLog> log_;
  std::deque<Write> writes_;
  Index handed_;
  std::uint64_t micros_ = 0;
  std::map<Index, EntryPtr> committed_;
};

}  // namespace

void run_raft(ByteView bytes) {
  Input input(bytes);
  Node node(input.byte());
  while (!input.empty()) node.step(input);
  node.finish();
}

std::vector<Bytes> raft_seeds() {
  const auto from_2 = [](const raft::Message& message) {
    return Seed().byte(2).byte(2).piece(raft::encode(group, message));
  };
  const auto entry =
      std::make_shared<const Entry>(Entry{Epoch(1), Index(1), ClusterMillis(5), EntryKind::command, "a"});
  Seed follower;
  follower.byte(0).rest(Bytes(from_2(raft::VoteRequest{Epoch(1), {}, false}))).byte(6).byte(7).byte(0);
  follower.rest(Bytes(from_2(raft::AppendRequest{Epoch(1), {}, Index(0), {entry}}))).byte(6).byte(7).byte(0);
  follower.rest(Bytes(from_2(raft::Heartbeat{Epoch(1), Index(1), 3}))).byte(6).byte(10).byte(1).byte(14).byte(3);
  follower.rest(Bytes(from_2(raft::TimeoutNow{Epoch(1)}))).byte(6);
  Seed sleeper;
  sleeper.byte(24).rest(Bytes(from_2(raft::AppendRequest{Epoch(1), {}, Index(1), {entry}}))).byte(6).byte(7).byte(2);
  sleeper.byte(15).byte(9).rest(Bytes(from_2(raft::LeaseRequest{Epoch(1), 7}))).byte(6);
  sleeper.rest(Bytes(from_2(raft::Sleep{Epoch(1), Index(1), 1}))).byte(6).byte(16).byte(3).byte(6).byte(0).byte(9);
  Seed leader;
  leader.byte(1).byte(0).byte(15).byte(6);
  leader.rest(Bytes(from_2(raft::PreVoteReply{Epoch(0), Epoch(1), true}))).byte(6).byte(7).byte(2);
  leader.rest(Bytes(from_2(raft::VoteReply{Epoch(1), true}))).byte(6).byte(7).byte(2);
  leader.rest(Bytes(from_2(raft::AppendAccept{Epoch(1), Index(1)})))
      .byte(8)
      .byte(5)
      .piece("x")
      .byte(9)
      .byte(1)
      .byte(9)
      .byte(2);
  leader.byte(6).byte(7).byte(2).rest(Bytes(from_2(raft::HeartbeatReply{Epoch(1), 1}))).byte(6);
  leader.rest(Bytes(from_2(raft::AppendReject{Epoch(1), Index(1), {}}))).byte(12).byte(3).byte(1).byte(6);
  Seed snapshot;
  snapshot.byte(0).byte(11).byte(1).byte(2).byte(1).byte(9).byte(5).byte(0).byte(6).byte(7).byte(2).byte(14).byte(0);
  // A liar of the next term replaces what the leader of term 1 committed.
  const auto other = [](std::uint64_t index) {
    return std::make_shared<const Entry>(Entry{Epoch(2), Index(index), ClusterMillis(5), EntryKind::command, "b"});
  };
  Seed liar;
  liar.byte(0).rest(Bytes(from_2(raft::AppendRequest{Epoch(1), {}, Index(1), {entry}}))).byte(6).byte(7).byte(2);
  liar.rest(Bytes(from_2(raft::AppendRequest{Epoch(2), {}, Index(2), {other(1), other(2)}}))).byte(6).byte(7).byte(2);
  // A change of the members that another leader cuts off, and one more that it makes.
  Seed changes;
  changes.byte(1).byte(0).byte(15).byte(6);
  changes.rest(Bytes(from_2(raft::PreVoteReply{Epoch(0), Epoch(1), true}))).byte(6).byte(7).byte(2);
  changes.rest(Bytes(from_2(raft::VoteReply{Epoch(1), true}))).byte(6).byte(7).byte(2);
  changes.rest(Bytes(from_2(raft::AppendAccept{Epoch(1), Index(1)}))).byte(6);
  changes.byte(13).byte(5).byte(0).byte(1).byte(3).byte(0).byte(6).byte(7).byte(2);
  const auto fewer = std::make_shared<const Entry>(Entry{Epoch(2), Index(2), ClusterMillis(5), EntryKind::membership,
                                                         encode_membership(Membership{NodeId(1), NodeId(2)})});
  changes.rest(Bytes(from_2(raft::AppendRequest{Epoch(2), {Epoch(1), Index(1)}, Index(2), {fewer}})));
  changes.byte(6).byte(7).byte(2).byte(14).byte(0).byte(6);
  return {follower, leader, liar, sleeper, snapshot, changes};
}

}  // namespace assent::fuzz
