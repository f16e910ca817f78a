#include "world.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"

namespace assent::testing {

namespace {
constexpr std::uint64_t service_questions_from = std::uint64_t{1} << 40U;
}

World::World(WorldOptions options) : options_(std::move(options)) {
  options_.conductor.shards = {shard_1, shard_2};
  coordinator_.id = coordinator_group;
  shards_.resize(2);
  shards_[0].id = shard_1;
  shards_[1].id = shard_2;
  start(coordinator_);
  for (auto& group : shards_) start(group);
}

template <class Side>
void World::start(Group<Side>& group) {
  group.epoch = Epoch(1);
  group.leader = std::make_unique<Side>(options_, group.id);
  group.leader->driver.lead(group.epoch);
  drain(group, *group.leader, true);
}

template <class F>
void World::with(GroupId group, F f) {
  if (group == coordinator_group) return f(coordinator_);
  f(shard(group));
}

void World::say(const std::string& line) const {
  if (narrate) narrate(line);
}

void World::violate(const std::string& what) { violations_.push_back(what); }

// ---- actions
// ---------------------------------------------------------------------------------------------------------

void World::request(RequestId id, GroupId to, ClientBody body) {
  with(to, [&](auto& group) {
    group.leader->driver.request(ClientRequest{id, to, std::move(body)});
    drain(group, *group.leader, true);
  });
}

void World::deliver(std::size_t message, bool keep, std::optional<std::size_t> to_deposed) {
  const Envelope envelope = network_.at(message);
  if (!keep) network_.erase(network_.begin() + static_cast<std::ptrdiff_t>(message));
  if (is_service(envelope.to)) return deliver_to_service(envelope);
  with(envelope.to, [&](auto& group) {
    const bool stale = to_deposed && *to_deposed < group.deposed.size();
    auto& side = stale ? *group.deposed[*to_deposed] : *group.leader;
    side.driver.receive(envelope);
    drain(group, side, !stale);
  });
}

// A saga's steps are taken one after the other, and compensated in the reverse order.
void World::check_order(const Envelope& envelope) {
  const auto* prepare = std::get_if<Prepare>(&envelope.message);
  const auto* finish = std::get_if<Finish>(&envelope.message);
  const TxnId txn = prepare != nullptr ? prepare->txn : finish->txn;
  if (!is_ordered(mode_of(txn))) return;
  const GroupId self = envelope.to;
  if (prepare != nullptr && services_.find(txn, self) == nullptr) {
    for (GroupId earlier = first_service; earlier < self; earlier = earlier.next()) {
      if (services_.promised(txn, earlier, prepare->attempt)) continue;
      violate(fmt::format("order: a step of {} is taken before the one before it", names.of(txn)));
    }
  }
  if (finish == nullptr || finish->commit) return;
  for (GroupId later = self.next(); takes_part(txn, later); later = later.next()) {
    if (retriable(txn, later)) continue;  // nobody ever called it
    const auto* held = services_.find(txn, later);
    if (held != nullptr && held->state != ServiceModel::State::prepared) continue;
    violate(fmt::format("order: a step of {} is compensated before the one after it", names.of(txn)));
  }
}

// Forward recovery: nobody is called before the saga is committed, and nobody hears of an abort.
void World::check_retriable(const TxnId& txn, GroupId service, bool prepares) {
  if (!retriable(txn, service)) return;
  if (outcome(txn) != Outcome::committed) {
    violate(fmt::format("order: a retriable step of {} is called before its commit", names.of(txn)));
  }
  const auto* held = services_.find(txn, service);
  if (!prepares && held == nullptr) {
    violate(fmt::format("order: a retriable step of {} is ended before it is done", names.of(txn)));
  }
}

// What a service says that did nothing of what it was asked.
std::optional<TxnMessage> World::trouble_of(const Envelope& envelope) {
  const auto* prepare = std::get_if<Prepare>(&envelope.message);
  const auto* finish = std::get_if<Finish>(&envelope.message);
  const TxnId txn = prepare != nullptr ? prepare->txn : finish->txn;
  const Attempt attempt = prepare != nullptr ? prepare->attempt : finish->attempt;
  if (calm_) return std::nullopt;
  if (rng.chance(trouble_chance)) return Trouble{txn, attempt, "out of order"};
  const bool refuses = prepare != nullptr && retriable(txn, envelope.to) && services_.find(txn, envelope.to) == nullptr;
  if (!refuses || !rng.chance(service_no_chance)) return std::nullopt;
  Vote no;
  no.txn = txn;
  no.attempt = attempt;
  no.refusal.reason = AbortReason::refused;
  return no;
}

void World::deliver_to_service(const Envelope& envelope) {
  if (auto trouble = trouble_of(envelope)) {
    return network_.push_back(Envelope{envelope.to, envelope.from, std::move(*trouble)});
  }
  check_order(envelope);
  const auto* asked = std::get_if<Prepare>(&envelope.message);
  const TxnId about = asked != nullptr ? asked->txn : std::get<Finish>(envelope.message).txn;
  check_retriable(about, envelope.to, asked != nullptr);
  const bool refuses = rng.chance(service_no_chance) && !retriable(about, envelope.to);
  auto answer = services_.receive(envelope.to, envelope.message, refuses);
  if (!answer.wrong.empty()) violate("A1: " + answer.wrong);
  // An abort of another attempt than the recorded one is nothing to it.
  const auto* finish = std::get_if<Finish>(&envelope.message);
  if (finish != nullptr && finish->commit) learn(finish->txn, Outcome::committed, "told to a service");
  const bool aborted = finish != nullptr && !finish->commit &&
                       services_.find(finish->txn, envelope.to)->state == ServiceModel::State::aborted;
  if (aborted) learn(finish->txn, Outcome::aborted, "told to a service");
  if (answer.message) network_.push_back(Envelope{envelope.to, envelope.from, std::move(*answer.message)});
}

void World::services_ask() {
  for (const TxnId& txn : services_.in_doubt()) {
    if (is_recorded(mode_of(txn))) continue;  // nobody there can ask
    const RequestId id(service_questions_from + ++questions_);
    service_questions_.emplace(id, txn);
    request(id, coordinator_group, GetOutcome{txn, true, 0});
  }
}

void World::hear_service_answer(const TxnId& txn, const ClientReply& reply) {
  if (!reply.answer) return;
  const TxnAnswer& answer = std::get<TxnAnswer>(*reply.answer);
  const TxnState state = answer.state;
  // Expired is aborted to one who is in doubt: a commit is kept open until each participant has said that it finished.
  if (state != TxnState::committed && state != TxnState::aborted && state != TxnState::expired) return;
  const bool commit = state == TxnState::committed;
  learn(txn, commit ? Outcome::committed : Outcome::aborted, "told to a service that asked");
  services_.resolve(txn, commit ? std::optional(answer.attempt) : std::nullopt);
}

void World::drop(std::size_t message) { network_.erase(network_.begin() + static_cast<std::ptrdiff_t>(message)); }

bool World::commit(GroupId id) {
  bool any = false;
  with(id, [&](auto& group) {
    any = !group.pending.empty();
    if (any) commit_one(group);
  });
  return any;
}

bool World::refuse(GroupId id, ErrorCode code) {
  bool any = false;
  with(id, [&](auto& group) {
    any = !group.pending.empty();
    if (!any) return;
    const auto command = group.pending.back();
    group.pending.pop_back();
    group.leader->driver.refused(command, Error{code, "the log takes no more", {}});
    drain(group, *group.leader, true);
  });
  return any;
}

void World::elect(GroupId id, std::size_t survive, bool carry) {
  with(id, [&](auto& group) { elect_in(group, survive, carry); });
}

void World::depose(GroupId id, std::size_t which) {
  with(id, [&](auto& group) {
    if (which >= group.deposed.size()) return;
    group.deposed[which]->driver.resign();
    drain(group, *group.deposed[which], false);
    group.deposed.erase(group.deposed.begin() + static_cast<std::ptrdiff_t>(which));
  });
}

void World::tick(GroupId id, bool deposed_too) {
  with(id, [&](auto& group) {
    group.leader->driver.tick();
    drain(group, *group.leader, true);
  });
  if (deposed_too) tick_deposed(id);
}

void World::tick_deposed(GroupId id) {
  with(id, [&](auto& group) {
    for (auto& side : group.deposed) {
      side->driver.tick();
      drain(group, *side, false);
    }
  });
}

bool World::converge(std::uint64_t ticks_max) {
  refuse_chance = 0;
  calm_ = true;
  for (std::uint64_t ticks = 0; ticks < ticks_max; ++ticks) {
    for (const GroupId id : {coordinator_group, shard_1, shard_2}) {
      while (deposed(id) > 0) depose(id, 0);
      while (commit(id)) {
      }
    }
    while (!network_.empty()) {
      deliver(0, false);
      for (const GroupId id : {coordinator_group, shard_1, shard_2}) {
        while (commit(id)) {
        }
      }
    }
    if (quiescent()) return true;
    if (ticks % 20 == 19) services_ask();
    now_ += options_.tick_millis;
    for (const GroupId id : {coordinator_group, shard_1, shard_2}) tick(id, false);
  }
  return quiescent();
}

// ---- the abstract logs
// -----------------------------------------------------------------------------------------------

template <class Side>
void World::drain(Group<Side>& group, Side& side, bool leads) {
  for (;;) {
    auto output = side.driver.take_output();
    if (output.empty()) return;
    for (auto& envelope : output.send) {
      say(fmt::format("  {}{} -> {}: {}", Names::of(group.id), leads ? "" : " (deposed)", Names::of(envelope.to),
                      describe(names, envelope.message)));
      network_.push_back(std::move(envelope));
    }
    for (auto& call : output.call) network_.push_back(Envelope{call.from, call.number, std::move(call.message)});
    for (auto& command : output.propose) {
      if (leads && refuse_chance > 0 && rng.chance(refuse_chance)) {
        side.driver.refused(command, Error{ErrorCode::busy, "the log takes no more", {}});
        continue;
      }
      say(fmt::format("  {}{} proposes {}", Names::of(group.id), leads ? "" : " (deposed)", describe(names, command)));
      if (leads) group.pending.push_back(std::move(command));
    }
    for (const ClientReply& one : output.reply) reply(one);
    for (const ReadId read : output.read) {
      if (leads) {
        side.driver.read_ready(read);
      } else {
        side.driver.read_lost(read);
      }
    }
  }
}

template <class Side>
void World::commit_one(Group<Side>& group) {
  const auto command = std::move(group.pending.front());
  group.pending.pop_front();
  group.index = group.index.next();
  group.stamp = std::max(group.stamp, ClusterMillis(now_));
  say(fmt::format("  {} applies {}", Names::of(group.id), describe(names, command)));
  group.leader->apply(EntryContext{group.epoch, group.index, group.stamp}, command, true);
  check_entry(group.id, command);
  drain(group, *group.leader, true);
}

// The new leader starts from what was committed and what survives of the old one's log, applied before it leads.
template <class Side>
void World::elect_in(Group<Side>& group, std::size_t survive, bool carry) {
  auto next = std::make_unique<Side>(options_, group.id);
  next->succeed(*group.leader);
  ASSENT_CHECK(next->machine.digest() == group.leader->machine.digest(), "a restored machine is equal");
  group.deposed.push_back(std::move(group.leader));
  group.leader = std::move(next);
  for (std::size_t i = 0; i < survive && !group.pending.empty(); ++i) {
    const auto command = std::move(group.pending.front());
    group.pending.pop_front();
    group.index = group.index.next();
    group.stamp = std::max(group.stamp, ClusterMillis(now_));
    say(fmt::format("  {} applies {}", Names::of(group.id), describe(names, command)));
    group.leader->apply(EntryContext{group.epoch, group.index, group.stamp}, command, false);
    check_entry(group.id, command);
  }
  if (!carry) group.pending.clear();
  group.epoch = group.epoch.next();
  group.leader->driver.lead(group.epoch);
  drain(group, *group.leader, true);
}

// ---- checks
// ----------------------------------------------------------------------------------------------------------

void World::reply(const ClientReply& one) {
  if (const auto asked = service_questions_.find(one.id); asked != service_questions_.end()) {
    const TxnId txn = asked->second;
    service_questions_.erase(asked);
    return hear_service_answer(txn, one);
  }
  say(fmt::format("  r{} hears {}", one.id, describe(names, one)));
  if (one.answer) {
    if (const auto* answer = std::get_if<TxnAnswer>(&*one.answer)) {
      if (answer->state == TxnState::committed)
        learn(answer->txn, Outcome::committed, fmt::format("r{} heard", one.id));
      const bool of_this_content = answer->refusal.reason != AbortReason::reused_id;
      if (answer->state == TxnState::aborted && of_this_content) {
        learn(answer->txn, Outcome::aborted, fmt::format("r{} heard", one.id));
      }
    }
  }
  if (on_reply) on_reply(one);
}

// A1, A2, A6: whoever says what came of a transaction, everybody says the same, for ever.
void World::learn(const TxnId& txn, Outcome outcome, const std::string& where) {
  const auto [found, first] = known_.emplace(txn, std::pair(outcome, where));
  if (first || found->second.first == outcome) return;
  violate(fmt::format("A1: {} is {} ({}) and {} ({})", names.of(txn), to_string(found->second.first),
                      found->second.second, to_string(outcome), where));
}

// A3: when a commit is decided, every participant had voted yes in that very attempt, in its log.
void World::check_entry(GroupId id, const CoordinatorCommand& command) {
  if (const auto* work = std::get_if<BallotWork>(&command)) {
    const auto& ballots = coordinator_.leader->machine.ballots();
    const auto found = ballots.find(work->txn);
    check_ballot(id, *work, found == ballots.end() ? nullptr : &found->second.acceptor);
  }
  if (const auto* end = std::get_if<EndBranch>(&command)) {
    const auto& open = coordinator_.leader->machine.open();
    const auto found = open.find(end->txn);
    if (found != open.end() && found->second.by_hand.contains(end->service)) {
      ++ended_by_hand_;
      services_.end_by_hand(end->txn, end->service, found->second.attempt, found->second.outcome == Outcome::committed);
    }
  }
  const auto* decide = std::get_if<Decide>(&command);
  if (decide == nullptr || !coordinator_.leader->machine.committed(decide->txn, decide->attempt)) return;
  learn(decide->txn, Outcome::committed, "decided");
  for (const GroupId participant : decide->participants) {
    if (is_service(participant)) {
      if (retriable(decide->txn, participant)) continue;
      if (services_.promised(decide->txn, participant, decide->attempt)) continue;
      violate(fmt::format("A3: {} committed without the yes of a service", names.of(decide->txn)));
      continue;
    }
    const Shard& machine = shard(participant).leader->machine;
    const PreparedTxn* prepared = machine.prepared(decide->txn);
    const FinishedTxn* finished = machine.finished(decide->txn);
    const bool yes = (prepared != nullptr && prepared->attempt == decide->attempt) ||
                     (finished != nullptr && finished->voted_yes && finished->attempt == decide->attempt);
    if (!yes) violate(fmt::format("A3: {} committed without the yes of {}", names.of(decide->txn), participant));
  }
}

void World::check_entry(GroupId id, const ShardCommand& command) {
  const Group<ShardSide>& group = shard(id);
  check_shard(group);
  if (const auto* prepare = std::get_if<PrepareWork>(&command)) check_votes(*prepare);
  if (const auto* work = std::get_if<BallotWork>(&command)) {
    const PreparedTxn* prepared = group.leader->machine.prepared(work->txn);
    check_ballot(id, *work, prepared == nullptr ? nullptr : &prepared->acceptor);
  }
  std::visit(
      [&](const auto& one) {
        if constexpr (requires { one.txn; }) {
          const FinishedTxn* finished = group.leader->machine.finished(one.txn);
          if (finished == nullptr) return;
          if (!takes_part(one.txn, id)) return;
          learn(one.txn, finished->outcome, fmt::format("applied at {}", Names::of(id)));
          const auto [seen, first] = finished_.emplace(std::pair(id, one.txn), finished->outcome);
          if (!first && seen->second != finished->outcome) violate("A2: a finished register changed");
        }
      },
      command);
}

// Where the votes decide, the last of them is the decision; whoever says otherwise later is wrong.
void World::check_votes(const PrepareWork& prepare) {
  if (!votes_decide(prepare.protocol)) return;
  for (const GroupId participant : prepare.participants) {
    const PreparedTxn* vote = shard(participant).leader->machine.prepared(prepare.txn);
    if (vote == nullptr || vote->protocol != prepare.protocol || vote->fingerprint != prepare.fingerprint) return;
  }
  learn(prepare.txn, Outcome::committed, "every register holds yes");
}

// Where ballots decide, two of the three acceptors do; and a commit is accepted only when every register holds yes.
void World::check_ballot(GroupId group, const BallotWork& work, const Acceptor* acceptor) {
  if (acceptor == nullptr || acceptor->value == Outcome::none) return;
  std::set<GroupId>& all = accepted_[{work.txn, acceptor->accepted, acceptor->value}];
  all.insert(group);
  if (all.size() >= 2) learn(work.txn, acceptor->value, "a majority accepted it");
  // When it is accepted; later the registers may be over, and forgotten: another ballot may have aborted it.
  if (work.value != Outcome::committed || acceptor->accepted != work.ballot) return;
  for (const Group<ShardSide>& one : shards_) {
    const FinishedTxn* finished = one.leader->machine.finished(work.txn);
    const bool no = one.leader->machine.empty(work.txn) || (finished != nullptr && !finished->voted_yes);
    if (no) violate(fmt::format("A3: {} is pre-committed without the yes of {}", names.of(work.txn), one.id));
  }
}

void World::check_shard(const Group<ShardSide>& group) {
  const Shard& machine = group.leader->machine;
  LockTable expected;
  for (const auto& [txn, prepared] : machine.all_prepared()) {
    if (!expected.free(prepared.effects.locks, txn)) violate("two prepared transactions hold conflicting locks");
    expected.acquire(txn, prepared.effects.locks);
  }
  if (!(machine.locks() == expected)) violate("locks are not a function of the prepared set");
}

std::size_t World::pending(GroupId id) const {
  if (id == coordinator_group) return coordinator_.pending.size();
  return (id == shard_1 ? shards_[0] : shards_[1]).pending.size();
}

std::size_t World::deposed(GroupId id) const {
  if (id == coordinator_group) return coordinator_.deposed.size();
  return (id == shard_1 ? shards_[0] : shards_[1]).deposed.size();
}

bool World::quiescent() const {
  if (!services_.in_doubt().empty()) return false;
  if (!network_.empty() || !coordinator_.pending.empty()) return false;
  if (!coordinator_.leader->machine.open().empty() || !coordinator_.leader->machine.begun().empty() ||
      coordinator_.leader->driver.active() > 0)
    return false;
  return std::all_of(shards_.begin(), shards_.end(), [](const Group<ShardSide>& group) {
    const ShardSide& side = *group.leader;
    return group.pending.empty() && side.machine.all_prepared().empty() && side.machine.locks().empty() &&
           side.driver.active() == 0 && side.driver.reservations().empty();
  });
}

Outcome World::outcome(const TxnId& txn) const {
  const auto found = known_.find(txn);
  return found == known_.end() ? Outcome::none : found->second.first;
}

}  // namespace assent::testing
