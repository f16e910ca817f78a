#include "sim/explore/groups.h"

#include <fmt/format.h>

#include <map>
#include <unordered_map>

#include "base/planted.h"
#include "sim/explore/side_table.h"

namespace assent::explore {

std::uint32_t Event::pack() const {
  return static_cast<std::uint32_t>(kind) | (std::uint32_t{group} << 4U) | (std::uint32_t{who} << 7U) |
         (std::uint32_t{what} << 10U) | (std::uint32_t{carry} << 26U) | (std::uint32_t{aged} << 27U);
}

Event Event::unpack(std::uint32_t packed) {
  return Event{.kind = static_cast<Kind>(packed & 0xFU),
               .group = static_cast<std::uint8_t>((packed >> 4U) & 7U),
               .who = static_cast<std::uint8_t>((packed >> 7U) & 7U),
               .what = static_cast<std::uint16_t>((packed >> 10U) & 0xFFFFU),
               .carry = ((packed >> 26U) & 1U) != 0,
               .aged = ((packed >> 27U) & 1U) != 0};
}

namespace {

struct Entry {  // not committed yet
  std::uint16_t command = 0;
  bool aged = false;  // when it was proposed
  auto operator<=>(const Entry&) const = default;
};

struct GroupState {
  std::uint32_t leader = 0;
  std::uint16_t epoch = 1;
  std::vector<Entry> pending;
  std::vector<std::uint32_t> replaced;
  Outcomes outcomes = 0;
  std::array<std::uint16_t, txns_max> results{};
  std::array<std::uint32_t, txns_max> accepted{};  // as in GroupFacts
  auto operator<=>(const GroupState&) const = default;
};

// ---- what a machine says of a transaction
// ----------------------------------------------------------------------------

Standing standing_of(const CoordinatorSide& side, const Execute& txn) {
  Standing standing;
  const auto record = side.machine.find(txn.txn);
  if (!record) return standing;
  standing.kind = record->outcome == Outcome::committed ? Standing::Kind::committed : Standing::Kind::aborted;
  standing.attempt = record->attempt;
  const auto open = side.machine.open().find(txn.txn);
  if (open != side.machine.open().end()) standing.names_all = open->second.participants.size() == txn.branches.size();
  return standing;
}

Standing standing_of(const ShardSide& side, const Execute& txn) {
  Standing standing;
  if (const PreparedTxn* prepared = side.machine.prepared(txn.txn)) {
    standing.kind = Standing::Kind::prepared;
    standing.attempt = prepared->attempt;
  } else if (const FinishedTxn* finished = side.machine.finished(txn.txn)) {
    standing.kind = finished->outcome == Outcome::committed ? Standing::Kind::committed : Standing::Kind::aborted;
    standing.attempt = finished->attempt;
  }
  return standing;
}

const Acceptor* acceptor_of(const CoordinatorSide& side, const TxnId& txn) {
  const auto found = side.machine.ballots().find(txn);
  return found == side.machine.ballots().end() ? nullptr : &found->second.acceptor;
}
const Acceptor* acceptor_of(const ShardSide& side, const TxnId& txn) {
  const PreparedTxn* prepared = side.machine.prepared(txn);
  return prepared == nullptr ? nullptr : &prepared->acceptor;
}

std::optional<WorkResult> result_of(const CoordinatorSide&, const TxnId&) { return std::nullopt; }
std::optional<WorkResult> result_of(const ShardSide& side, const TxnId& txn) {
  if (const PreparedTxn* prepared = side.machine.prepared(txn)) return prepared->result;
  const FinishedTxn* finished = side.machine.finished(txn);
  if (finished == nullptr || finished->protocol != Protocol::one_phase || finished->outcome != Outcome::committed)
    return std::nullopt;
  return finished->result();
}

bool at_rest(const CoordinatorSide& side) { return side.machine.open().empty() && side.driver.active() == 0; }
bool all_decided(const CoordinatorSide& side) { return side.machine.open().empty() && side.driver.undecided() == 0; }

bool at_rest(const ShardSide& side) {
  return side.machine.all_prepared().empty() && side.machine.locks().empty() && side.driver.active() == 0 &&
         side.driver.reservations().empty();
}

bool all_decided(const ShardSide& side) { return at_rest(side); }

// ---- rules that one group can break
// ----------------------------------------------------------------------------------

std::string find_broken(const CoordinatorSide&, const Model&, GroupId, const GroupState&) { return {}; }

using Numbers = std::map<std::string, long long>;  // by key

// What the rows of a shard are when each of these transactions has run there once. The models' work writes by adding
// alone, so it is the same in whatever order.
Numbers rows_of(Outcomes committed, const std::vector<Execute>& txns, GroupId shard) {
  Numbers rows;
  for (std::size_t i = 0; i < txns.size(); ++i) {
    if ((committed & outcome_bit(i, true)) == 0) continue;
    for (const Branch& branch : txns[i].branches) {
      if (branch.shard != shard) continue;
      for (const Operation& operation : branch.work) {
        if (const auto* add = std::get_if<KvAdd>(&operation)) rows[add->key] += add->delta;
      }
    }
  }
  return rows;
}

std::string show(const Numbers& rows) {
  std::string words;
  for (const auto& [key, number] : rows) words += fmt::format("{}{}={}", words.empty() ? "" : ", ", key, number);
  return words.empty() ? "nothing" : words;
}

// A8: the rows are what the committed transactions make of them when each runs once: none twice, none not at all, and
// nothing of any other. One that only reads here makes nothing.
std::string find_broken(const ShardSide& side, const Model& model, GroupId self, const GroupState& state) {
  LockTable locks;
  EscrowTable escrow;
  for (const auto& [txn, prepared] : side.machine.all_prepared()) {
    const Effects& effects = prepared.effects;
    const bool only_reads = effects.change.empty() && effects.adds.empty();
    if (only_reads && planted(Bug::reader_let_go)) continue;  // it is to be judged by what comes of it
    if (!locks.free(effects.locks, txn)) return "I1: two prepared transactions hold locks that conflict";
    locks.acquire(txn, effects.locks);
    escrow.acquire(txn, effects.adds);
  }
  if (!(side.machine.locks() == locks)) return "I1: the locks are not a function of the prepared set";
  if (!(side.machine.escrow() == escrow)) return "I1: what is in escrow is not a function of the prepared set";
  Numbers rows;
  for (const auto& [key, value] : side.store.rows()) rows[key] = std::stoll(value);
  const Numbers due = rows_of(state.outcomes, model.txns, self);
  if (rows == due) return {};
  return fmt::format("A8: the rows show {}, and what is committed here makes {}", show(rows), show(due));
}

// A2, from one moment of a log to a later one. With ageing a final word may be forgotten; that it then cannot be
// contradicted is judged by the outcomes that are kept for ever.
std::string find_change(const Standing& before, const Standing& after, const std::string& name, bool forgotten) {
  using Kind = Standing::Kind;
  if (before.kind == Kind::none || (after.kind == Kind::none && forgotten)) return {};
  if (before.kind == Kind::prepared) {
    if (after.kind == Kind::none) return fmt::format("A2: the yes of {} is gone", name);
    if (after.attempt != before.attempt) return fmt::format("A2: the yes of {} became another attempt's", name);
    return {};
  }
  if (after.kind == before.kind) return {};
  return fmt::format("A2: the outcome of {} was final and is {} now", name,
                     after.kind == Kind::none ? "gone" : "another");
}

template <class Side>
class GroupsOf final : public Groups {
 public:
  GroupsOf(const Model& model, GroupId self, Language& language)
      : model_(&model), self_(self), language_(&language), sides_(model, self, language) {}

  std::uint32_t initial() override {
    GroupState state;
    state.leader = sides_.fresh();
    Transition ignored;
    run(state, 0, SideEvent{.kind = SideEvent::Kind::lead, .epoch = 1}, ignored, nullptr);
    return number(state);
  }

  const Transition& step(std::uint32_t state, const Event& event) override {
    const std::uint64_t key = (std::uint64_t{state} << 32U) | event.pack();
    const auto found = transitions_.find(key);
    if (found != transitions_.end()) return found->second;
    const Transition& transition = transitions_.emplace(key, compute(state, event, nullptr)).first->second;
    const bool quiet = transition.to == state && transition.told == 0 && transition.violated.empty();
    if (event.kind == Event::Kind::deliver && quiet) {
      Hearing& hearing = hearings_[state][event.who];
      hearing.quiet.add(event.what);
      if (transition.sends.empty()) hearing.mute.add(event.what);
    }
    return transition;
  }
  const Hearing& hearing(std::uint32_t state, unsigned who) const override { return hearings_[state][who]; }

  const GroupFacts& facts(std::uint32_t state) const override { return facts_[state]; }
  void narrate(std::uint32_t state, const Event& event, std::vector<std::string>& lines) override {
    compute(state, event, &lines);
  }
  std::size_t states() const override { return states_.size(); }
  std::size_t sides() const override { return sides_.size(); }
  std::size_t steps() const override { return sides_.steps(); }
  void doubt_digests() override { sides_.doubt_digests(); }

 private:
  using Lines = std::vector<std::string>;

  Transition compute(std::uint32_t number_of_state, const Event& event, Lines* lines) {
    GroupState state = states_[number_of_state];
    Transition transition;
    act(state, event, transition, lines);
    judge(number_of_state, state, transition);
    transition.to = number(state);
    return transition;
  }

  void act(GroupState& state, const Event& event, Transition& transition, Lines* lines) {
    const auto side_event = [&](SideEvent::Kind kind, std::uint16_t what) {
      return SideEvent{.kind = kind, .what = what, .epoch = state.epoch, .aged = event.aged, .leads = event.who == 0};
    };
    switch (event.kind) {
      case Event::Kind::deliver:
        return run(state, event.who, side_event(SideEvent::Kind::deliver, event.what), transition, lines);
      case Event::Kind::ask:
        return run(state, event.who, side_event(SideEvent::Kind::ask, event.what), transition, lines);
      case Event::Kind::tick: return run(state, event.who, side_event(SideEvent::Kind::tick, 0), transition, lines);
      case Event::Kind::commit: {
        const Entry entry = take_first(state);
        SideEvent apply = side_event(SideEvent::Kind::apply, entry.command);
        apply.aged = entry.aged;
        note_finish(state, entry.command);
        return run(state, 0, apply, transition, lines);
      }
      case Event::Kind::refuse: {
        const Entry entry = state.pending.back();
        state.pending.pop_back();
        return run(state, 0, side_event(SideEvent::Kind::refuse, entry.command), transition, lines);
      }
      case Event::Kind::elect: return elect(state, event, transition, lines);
      case Event::Kind::resign: state.replaced.erase(state.replaced.begin() + (event.who - 1)); return;
      case Event::Kind::age: return;
    }
  }

  void elect(GroupState& state, const Event& event, Transition& transition, Lines* lines) {
    state.replaced.push_back(state.leader);
    state.leader = sides_.step(state.leader, SideEvent{.kind = SideEvent::Kind::succeed}).to;
    for (unsigned i = 0; i < event.what; ++i) {
      const Entry entry = take_first(state);
      if (lines != nullptr) lines->push_back(says() + " applies " + describe_command(entry.command));
      note_finish(state, entry.command);
      const SideEvent apply{.kind = SideEvent::Kind::apply_quietly,
                            .what = entry.command,
                            .epoch = state.epoch,
                            .aged = entry.aged,
                            .leads = true};
      state.leader = sides_.step(state.leader, apply).to;
      note(state);
    }
    if (!event.carry) state.pending.clear();
    ++state.epoch;
    run(state, 0, SideEvent{.kind = SideEvent::Kind::lead, .epoch = state.epoch, .aged = event.aged}, transition,
        lines);
  }

  static Entry take_first(GroupState& state) {
    const Entry entry = state.pending.front();
    state.pending.erase(state.pending.begin());
    return entry;
  }

  void run(GroupState& state, unsigned who, const SideEvent& event, Transition& transition, Lines* lines) {
    std::uint32_t& side = who == 0 ? state.leader : state.replaced[who - 1];
    if (lines != nullptr && event.kind == SideEvent::Kind::apply) {
      lines->push_back(says() + " applies " + describe_command(event.what));
    }
    const SideStep& step = sides_.step(side, event);
    side = step.to;
    transition.sends = step.sends;
    if (who == 0) {
      for (const std::uint16_t command : step.proposes) state.pending.push_back(Entry{command, event.aged});
    }
    for (const ClientReply& reply : step.replies) transition.told |= told_by(reply);
    if (lines != nullptr) tell(step, who, *lines);
    note(state);
  }

  Outcomes told_by(const ClientReply& reply) const {
    if (!reply.answer) return 0;
    const auto* answer = std::get_if<TxnAnswer>(&*reply.answer);
    if (answer == nullptr || answer->refusal.reason == AbortReason::reused_id) return 0;
    const bool final = answer->state == TxnState::committed || answer->state == TxnState::aborted;
    for (std::size_t i = 0; final && i < model_->txns.size(); ++i) {
      if (model_->txns[i].txn == answer->txn) return outcome_bit(i, answer->state == TxnState::committed);
    }
    return 0;
  }

  // What the leader's machine shows is written down for ever.
  void note(GroupState& state) {
    const Side& side = sides_.at(state.leader);
    for (std::size_t i = 0; i < model_->txns.size(); ++i) {
      const Standing::Kind kind = standing_of(side, model_->txns[i]).kind;
      if (kind == Standing::Kind::committed) state.outcomes |= outcome_bit(i, true);
      if (kind == Standing::Kind::aborted) state.outcomes |= outcome_bit(i, false);
      const Acceptor* acceptor = acceptor_of(side, model_->txns[i].txn);
      if (acceptor != nullptr && acceptor->value != Outcome::none) {
        const std::uint16_t what = language_->accepted.number({acceptor->accepted, acceptor->value});
        ASSENT_CHECK(what < 32, "a model opens few ballots");
        state.accepted[i] |= 1U << what;
      }
      if (!model_->serial) continue;
      const auto result = result_of(side, model_->txns[i].txn);
      if (!result) continue;
      state.results[i] = static_cast<std::uint16_t>(language_->results.number(describe(*result)) + 1U);
    }
  }

  // A finish may be forgotten in the very entry that brought it, when its transaction is too old.
  void note_finish(GroupState& state, std::uint16_t command) const {
    if constexpr (std::is_same_v<Side, ShardSide>) {
      const auto* finish = std::get_if<FinishWork>(&language_->shard_commands.at(command));
      if (finish == nullptr) return;
      const PreparedTxn* prepared = sides_.at(state.leader).machine.prepared(finish->txn);
      if (prepared == nullptr) return;
      const bool of_this_vote = by_content(finish->protocol) ? prepared->fingerprint == finish->fingerprint
                                                             : prepared->attempt == finish->attempt;
      if (!of_this_vote) return;
      for (std::size_t i = 0; i < model_->txns.size(); ++i) {
        if (model_->txns[i].txn == finish->txn) state.outcomes |= outcome_bit(i, finish->commit);
      }
    }
  }

  void judge(std::uint32_t before, const GroupState& after, Transition& transition) {
    const Side& side = sides_.at(after.leader);
    transition.violated = find_broken(side, *model_, self_, after);
    for (std::size_t i = 0; transition.violated.empty() && i < model_->txns.size(); ++i) {
      const Execute& txn = model_->txns[i];
      const bool ageing = model_->bounds.ageing;
      const bool forgotten = ageing && (after.outcomes & (outcome_bit(i, true) | outcome_bit(i, false))) != 0;
      transition.violated =
          find_change(facts_[before].standing[i], standing_of(side, txn), language_->names.of(txn.txn), forgotten);
    }
    if (!transition.violated.empty()) transition.violated += fmt::format(" (in the log of {})", Names::of(self_));
  }

  std::uint32_t number(const GroupState& state) {
    const auto [found, fresh] = numbers_.emplace(state, static_cast<std::uint32_t>(states_.size()));
    if (!fresh) return found->second;
    states_.push_back(state);
    GroupFacts facts;
    facts.pending = static_cast<unsigned>(state.pending.size());
    for (const Entry& entry : state.pending) facts.pending_kinds |= 1U << sides_.commands().at(entry.command).index();
    facts.replaced = static_cast<unsigned>(state.replaced.size());
    facts.elections = state.epoch - 1U;
    facts.outcomes = state.outcomes;
    facts.results = state.results;
    facts.accepted = state.accepted;
    const Side& side = sides_.at(state.leader);
    for (std::size_t i = 0; i < model_->txns.size(); ++i) facts.standing[i] = standing_of(side, model_->txns[i]);
    facts.quiescent = state.pending.empty() && at_rest(side);
    facts.decided = state.pending.empty() && all_decided(side);
    facts_.push_back(facts);
    hearings_.emplace_back(state.replaced.size() + 1);
    return found->second;
  }

  // ---- narration ----
  std::string says() const { return "      " + Names::of(self_); }
  std::string describe_command(std::uint16_t command) const {
    return explore::describe(language_->names, sides_.commands().at(command));
  }
  void tell(const SideStep& step, unsigned who, Lines& lines) const {
    const std::string me = says() + (who == 0 ? "" : " (replaced)");
    for (const std::uint16_t message : step.sends) {
      const Envelope& envelope = language_->messages.at(message);
      lines.push_back(fmt::format("{} -> {}: {}", me, Names::of(envelope.to),
                                  explore::describe(language_->names, envelope.message)));
    }
    for (const std::uint16_t command : step.proposes) lines.push_back(me + " proposes " + describe_command(command));
    for (const ClientReply& reply : step.replies) {
      lines.push_back(fmt::format("      r{} hears {}", reply.id, explore::describe(language_->names, reply)));
    }
  }

  const Model* model_;
  GroupId self_;
  Language* language_;
  SideTable<Side> sides_;
  std::vector<GroupState> states_;
  std::vector<GroupFacts> facts_;
  std::vector<std::vector<Hearing>> hearings_;  // of the leader, then of the replaced ones
  std::map<GroupState, std::uint32_t> numbers_;
  std::unordered_map<std::uint64_t, Transition> transitions_;
};

}  // namespace

std::unique_ptr<Groups> make_groups(const Model& model, std::size_t place, Language& language) {
  const GroupId self = model.groups()[place];
  if (place == 0) return std::make_unique<GroupsOf<CoordinatorSide>>(model, self, language);
  return std::make_unique<GroupsOf<ShardSide>>(model, self, language);
}

}  // namespace assent::explore
