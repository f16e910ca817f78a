#include "sim/spotter.h"

#include <algorithm>
#include <utility>

#include "consensus/raft/message_codec.h"
#include "consensus/raft/raft.h"

namespace assent::sim {
namespace {
// Places in raft::Role.
constexpr std::size_t follower = 0;
constexpr std::size_t pre_candidate = 1;
constexpr std::size_t candidate = 2;
constexpr std::size_t leader = 3;
}  // namespace

void Spotter::built(const Replica& at, const LogSetup& setup, const ReplicatedLog& log) {
  const auto* core = raft_core(log);
  if (core == nullptr) return;
  seen_[at] = Seen{core->role().index(), core->term(), core->commit(), false, false, 0};
  if (!setup.durable.snapshot.last.index.none()) {
    recorder_.rare("replica rebuilt from a snapshot and a log");
    if (setup.durable.entries.empty()) recorder_.rare("replica rebuilt from a snapshot alone");
  }
}

void Spotter::received(const Replica& at, NodeId /*from*/, ByteView message, const ReplicatedLog& log) {
  const auto* core = raft_core(log);
  if (core == nullptr) return;
  look_at_sleep(at, *core);
  if (!core->promised()) return;
  const auto asked = raft::decode(at.group, message);
  if (asked && std::holds_alternative<raft::PreVoteRequest>(*asked)) recorder_.rare("vote refused for a promise");
}

void Spotter::look_at_sleep(const Replica& at, const raft::Raft& core) {
  Seen& seen = seen_[at];
  const bool leads = std::holds_alternative<raft::Leader>(core.role());
  if (!std::exchange(seen.asleep, core.asleep()) && seen.asleep && leads) recorder_.rare("group asleep");
  const auto* sleeper = std::get_if<raft::Follower>(&core.role());
  const bool uncertain = sleeper != nullptr && sleeper->uncertain;
  if (!std::exchange(seen.uncertain, uncertain) && uncertain) {
    recorder_.rare("sleeper woken by somebody else than its leader");
  }
}

void Spotter::gave(const Replica& at, const Output& output, const ReplicatedLog& log) {
  const auto* core = raft_core(log);
  if (core == nullptr) return;
  look_at_sleep(at, *core);
  if (std::exchange(seen_[at].reads_by_lease, core->reads_by_lease()) < core->reads_by_lease()) {
    recorder_.rare("read answered by a lease");
  }
  look_at_role(at, *core, output);
  Seen& seen = seen_[at];
  look_at_commit(at, *core, seen.commit);
  seen.role = core->role().index();
  seen.term = core->term();
  seen.commit = core->commit();
  const DurableView* view = durability_.view(at);
  if (!output.append.empty() && view != nullptr && output.append.front()->index <= view->last() && !output.install) {
    recorder_.rare("durable entries cut off by a new leader");
  }
  if (output.install && view != nullptr && view->last() > output.install->last.index) {
    recorder_.rare("snapshot installed over a longer log");
  }
  if (output.membership) look_at_members(*core, *output.membership);
  if (!output.reads_lost.empty()) recorder_.rare("read barrier lost with its leader");
  if (output.reads.size() > 1) recorder_.rare("several reads satisfied by one round");
  if (!output.snapshots_to_send.empty()) recorder_.rare("follower too far behind for the log");
}

void Spotter::look_at_members(const raft::Raft& core, const Membership& members) {
  const bool leads = std::holds_alternative<raft::Leader>(core.role());
  if (members.joint()) recorder_.rare("joint membership");
  if (leads && !members.votes(core.self())) recorder_.rare("leader left out of its group");
  const auto later = [](const Member& member) { return member.incarnation != 0; };
  if (std::any_of(members.voters.begin(), members.voters.end(), later))
    recorder_.rare("new disk in the place of a lost one");
  if (core.log().last_index() > core.commit() && members.voters.size() == 1) recorder_.rare("group of one");
}

void Spotter::look_at_role(const Replica& at, const raft::Raft& core, const Output& /*output*/) {
  const Seen& seen = seen_[at];
  const std::size_t now = core.role().index();
  if (seen.role == candidate && (now == pre_candidate || now == candidate) && core.term() >= seen.term) {
    if (now == pre_candidate) recorder_.rare("election without a winner");
  }
  if (seen.role == candidate && now == follower) recorder_.rare("candidate gave way to another");
  if (seen.role == leader && now == follower) {
    recorder_.rare(core.term() == seen.term ? "leader stepped down for want of a majority"
                                            : "leader deposed by a newer epoch");
  }
  if (seen.role == follower && now == candidate) recorder_.rare("campaign asked for by the leader");
  if (now == leader && seen.role != leader && core.commit() < core.log().last_index().previous()) {
    recorder_.rare("leader elected with uncommitted entries of older epochs");
  }
}

void Spotter::look_at_commit(const Replica& at, const raft::Raft& core, Index before) {
  if (core.commit() <= before || core.role().index() != leader) return;
  const DurableView* view = durability_.view(at);
  if (view != nullptr && view->last() < core.commit())
    recorder_.rare("entry committed before its leader's own disk had it");
  if (core.log().epoch_at(before.next()) != core.term())
    recorder_.rare("entry of an older epoch committed by a new leader");
  if (core.commit().value > before.value + 10) recorder_.rare("more than ten entries committed at once");
}

}  // namespace assent::sim
