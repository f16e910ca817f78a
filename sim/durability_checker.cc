#include "sim/durability_checker.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "consensus/raft/quorum.h"

namespace assent::sim {

bool DurableView::holds(Index index, Epoch epoch) const {
  if (index <= base || index <= left) return true;
  if (index <= last()) return epochs[index.value - base.value - 1] == epoch;
  const auto found = lost.find(index);
  return found != lost.end() && found->second == epoch;
}

const DurableView* DurabilityChecker::view(const Replica& at) const {
  const State* state = replicas_.find(at);
  return state != nullptr && state->built && !state->parted ? &state->durable : nullptr;
}

void DurabilityChecker::built(const Replica& at, const LogSetup& setup, const ReplicatedLog& /*log*/) {
  Group& group = groups_[at.group];
  group.memberships.try_emplace(Index(0), setup.members);
  State& known = state_of(at);
  State fresh;
  fresh.hurt = known.hurt;  // by what is found next it may be rebuilt once more, in the same life
  fresh.durable.left = setup.left.index;
  if (known.built && known.durable.incarnation != setup.incarnation) {
    group.lost[Member(at.node, known.durable.incarnation)] = std::move(known.durable);
  } else if (known.parted && setup.left != Position{}) {
    judge_return(at, known, setup);
  } else if (known.built) {
    if (known.parted) known.durable = *std::exchange(known.parted, std::nullopt);  // the log never said so
    judge_restart(at, known, setup);
    fresh.durable.left = std::min(known.durable.left, setup.left.index);
    fresh.durable.lost = std::move(known.durable.lost);
    Index index = known.durable.base;
    for (const Epoch epoch : known.hurt ? known.durable.epochs : std::vector<Epoch>()) {
      fresh.durable.lost[index = index.next()] = epoch;
    }
  }
  fresh.built = true;
  fresh.durable.incarnation = setup.incarnation;
  fresh.durable.hard_state = setup.durable.hard_state;
  fresh.durable.base = setup.durable.snapshot.last.index;
  fresh.durable.promised = setup.left;
  for (const EntryPtr& entry : setup.durable.entries) fresh.durable.epochs.push_back(entry->epoch);
  settle_lost(fresh.durable);
  known = std::move(fresh);
}

void DurabilityChecker::left(const Replica& at) {
  State& known = state_of(at);
  if (!known.built || known.parted) return;
  const Member member(at.node, known.durable.incarnation);
  Index last = std::max(known.durable.last(), known.durable.left);
  for (const Write& write : known.writes)
    last = std::max(last, Index(write.first.value + write.epochs.size()).previous());
  if (!was_removed(groups_[at.group], member, last)) {
    recorder_.wrong(
        fmt::format("D5 leaving: node {} gives up what it holds of group {}, and no committed membership "
                    "leaves it out",
                    at.node, at.group));
  }
  known.parted = known.durable;
}

// After the newest that it may know to include it there is one that does not.
bool DurabilityChecker::was_removed(const Group& group, const Member& member, Index last) const {
  Index included;
  for (const auto& [index, membership] : group.memberships) {
    if (index <= last && membership.has(member)) included = index;
  }
  return std::any_of(group.memberships.lower_bound(included), group.memberships.end(),
                     [&member](const auto& one) { return !one.second.has(member); });
}

// Begun anew, with nothing but what it had promised.
void DurabilityChecker::judge_return(const Replica& at, const State& state, const LogSetup& setup) {
  recorder_.rare("replica begun anew where one had gone");
  const DurableView& gone = *state.parted;
  bool hard_state_known = setup.durable.hard_state == gone.hard_state;
  for (const Write& write : state.writes) {
    hard_state_known = hard_state_known || (write.hard_state && *write.hard_state == setup.durable.hard_state);
  }
  const bool older = gone.epochs.empty() || setup.left.epoch <= gone.epochs.back();
  if (!hard_state_known || (older && setup.left.index < gone.last())) {
    recorder_.wrong(fmt::format("D5 leaving: node {} comes back to group {} and has forgotten what it promised",
                                at.node, at.group));
  }
}

// Writes that were under way may have arrived or not, in their order.
void DurabilityChecker::judge_restart(const Replica& at, const State& state, const LogSetup& setup) {
  const DurableView& known = state.durable;
  const DurableLog& found = setup.durable;
  bool hard_state_known = found.hard_state == known.hard_state;
  Index kept = known.last();  // no write under way touches what stands up to here
  for (const Write& write : state.writes) {
    hard_state_known = hard_state_known || write.hard_state == found.hard_state;
    if (write.install) kept = std::min(kept, known.base);
    if (!write.epochs.empty()) kept = std::min(kept, write.first.previous());
  }
  if (!hard_state_known) {
    return recorder_.wrong(fmt::format(
        "L4 durability: node {} is rebuilt without the term and vote of group {} that it was told to be durable",
        at.node, at.group));
  }
  const Index base = found.snapshot.last.index;
  for (Index index = std::max(base, known.base).next(); index <= kept; index = index.next()) {
    const std::size_t place = index.value - base.value - 1;
    const Epoch epoch = known.epochs[index.value - known.base.value - 1];
    if (place < found.entries.size() && found.entries[place]->epoch == epoch) continue;
    if (place >= found.entries.size() && state.hurt) break;
    return recorder_.wrong(
        fmt::format("L4 durability: node {} is rebuilt without entry {} of group {}, which it was told to be durable",
                    at.node, index, at.group));
  }
  const bool given_up = state.hurt && setup.left.index >= known.last();  // its snapshot was damaged
  if (base.value + found.entries.size() < known.base.value && !given_up) {
    recorder_.wrong(fmt::format("L4 durability: node {} is rebuilt without its snapshot of group {} up to {}", at.node,
                                at.group, known.base));
  }
  if (state.hurt) judge_promise(at, state, kept, setup);
}

// kept: no write under way touches what stood up to here.
void DurabilityChecker::judge_promise(const Replica& at, const State& state, Index kept, const LogSetup& setup) {
  const DurableView& known = state.durable;
  const Index found(setup.durable.snapshot.last.index.value + setup.durable.entries.size());
  Position end = known.promised;
  if (kept > std::max(known.base, found)) end = std::max(end, {known.epochs[kept.value - known.base.value - 1], kept});
  const Position last = setup.durable.entries.empty()
                            ? setup.durable.snapshot.last
                            : Position{setup.durable.entries.back()->epoch, setup.durable.entries.back()->index};
  if (std::max(setup.left, last) >= end) return;
  recorder_.wrong(
      fmt::format("L4 durability: node {} lost entries of group {} and has forgotten that it held them, up "
                  "to {} of epoch {}",
                  at.node, at.group, end.index, end.epoch));
}

void DurabilityChecker::gave(const Replica& at, const Output& output, const ReplicatedLog& /*log*/) {
  State& state = state_of(at);
  if (output.needs_disk()) {
    Write write{output.number, output.hard_state, std::nullopt, {}, {}};
    if (output.install) write.install = output.install->last.index;
    if (!output.append.empty()) write.first = output.append.front()->index;
    for (const EntryPtr& entry : output.append) {
      write.epochs.push_back(entry->epoch);
      if (entry->kind != EntryKind::membership) continue;
      groups_[at.group].written[{entry->epoch, entry->index}] = decode_membership(entry->payload).value();
    }
    state.writes.push_back(std::move(write));
  }
  judge_commit(at, output);
  judge_ready(at, output);
  judge_reads(at, output);
}

void DurabilityChecker::judge_ready(const Replica& at, const Output& output) {
  if (output.committed.empty() && !output.leadership) return;
  Epoch& handed = state_of(at).handed;
  if (!output.committed.empty()) handed = output.committed.back()->epoch;
  if (!output.leadership || !output.leadership->self_ready || handed == output.leadership->epoch) return;
  recorder_.wrong(
      fmt::format("L5 completeness: node {} is ready to lead epoch {} of group {} and has handed out no "
                  "entry of it",
                  at.node, output.leadership->epoch, at.group));
}

void DurabilityChecker::judge_commit(const Replica& at, const Output& output) {
  if (output.committed.empty()) return;
  Group& group = groups_[at.group];
  for (const EntryPtr& entry : output.committed) {
    if (entry->index <= group.committed) continue;
    group.committed = entry->index;
    if (entry->kind == EntryKind::membership) {
      group.memberships[entry->index] = decode_membership(entry->payload).value();
    }
    if (majority_holds(at.group, group, *entry)) continue;
    return recorder_.wrong(
        fmt::format("L4 durability: node {} holds entry {} of group {} for committed while no majority of its members "
                    "holds it durably",
                    at.node, entry->index, at.group));
  }
}

bool DurabilityChecker::majority_holds(GroupId id, const Group& group, const Entry& entry) const {
  const auto holds = [&](const Member& member) -> std::uint64_t {
    const auto lost = group.lost.find(member);
    const DurableView* durable = lost != group.lost.end() ? &lost->second : view({id, member.node});
    if (durable == nullptr || durable->incarnation != member.incarnation) return 0;
    return durable->holds(entry.index, entry.epoch) ? 1 : 0;
  };
  const auto in_force = std::prev(group.memberships.upper_bound(entry.index));
  if (raft::reached_by_quorum(in_force->second, holds) > 0) return true;
  return std::any_of(group.written.begin(), group.written.end(), [&](const auto& later) {
    const auto& [at, membership] = later;
    return at.index > entry.index && at.epoch >= entry.epoch && raft::reached_by_quorum(membership, holds) > 0;
  });
}

void DurabilityChecker::judge_reads(const Replica& at, const Output& output) {
  if (output.reads.empty() && output.reads_lost.empty()) return;
  std::map<ReadId, Index>& reads = state_of(at).reads;
  for (const ReadReady& read : output.reads) {
    const auto asked = reads.find(read.id);
    if (asked == reads.end()) continue;
    if (read.index < asked->second) {
      recorder_.wrong(
          fmt::format("L6 reads: node {} serves a read of group {} at index {}, but index {} was committed "
                      "when it was asked",
                      at.node, at.group, read.index, asked->second));
    }
    reads.erase(asked);
  }
  for (const ReadId lost : output.reads_lost) reads.erase(lost);
}

void DurabilityChecker::asked_read(const Replica& at, ReadId id) {
  state_of(at).reads[id] = groups_[at.group].committed;
}

void DurabilityChecker::synced(const Replica& at, std::uint64_t output_number, const ReplicatedLog& /*log*/) {
  State& state = state_of(at);
  while (!state.writes.empty() && state.writes.front().number <= output_number) {
    apply(state.writes.front(), state.durable);
    state.writes.pop_front();
  }
}

void DurabilityChecker::apply(const Write& write, DurableView& view) {
  if (write.hard_state) view.hard_state = *write.hard_state;
  if (write.install) {
    view.base = *write.install;
    view.epochs.clear();
  }
  if (!write.epochs.empty()) {
    // What would stand behind an entry goes with it.
    if (write.first <= view.last() && !view.holds(write.first, write.epochs.front())) view.lost.clear();
    view.epochs.resize(write.first.value - view.base.value - 1);
    view.epochs.insert(view.epochs.end(), write.epochs.begin(), write.epochs.end());
  }
  settle_lost(view);
}

// Of what was lost some is there again, or something else is: then nothing that followed it would be there any more.
void DurabilityChecker::settle_lost(DurableView& view) {
  while (!view.lost.empty()) {
    const auto [index, epoch] = *view.lost.begin();
    if (index > view.last()) return;
    if (index > view.base && view.epochs[index.value - view.base.value - 1] != epoch) return view.lost.clear();
    view.lost.erase(view.lost.begin());
  }
}

}  // namespace assent::sim
