#include "sim/explore/scene.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "base/digest.h"
#include "participant/escrow.h"

namespace assent::explore {

Scene::Scene(const Model& model) : model_(&model), ids_(model.groups()) {
  for (std::size_t i = 0; i < model.txns.size(); ++i)
    language_.names.txns[model.txns[i].txn] = fmt::format("t{}", i + 1);
  for (std::size_t place = 0; place < ids_.size(); ++place) groups_.push_back(make_groups(model, place, language_));
}

GroupNumbers Scene::initial() {
  GroupNumbers groups{};
  for (std::size_t place = 0; place < groups_.size(); ++place) groups[place] = groups_[place]->initial();
  return groups;
}

std::size_t Scene::place_of(GroupId id) const {
  return static_cast<std::size_t>(std::find(ids_.begin(), ids_.end(), id) - ids_.begin());
}

Outcomes Scene::outcomes(const GroupNumbers& groups) const {
  Outcomes all = 0;
  for (std::size_t place = 0; place < groups_.size(); ++place) all |= facts(groups, place).outcomes;
  return all;
}

bool Scene::quiescent(const GroupNumbers& groups) const {
  for (std::size_t place = 0; place < groups_.size(); ++place) {
    if (!facts(groups, place).quiescent) return false;
  }
  return true;
}

// ---- rules
// -----------------------------------------------------------------------------------------------------------

std::string Scene::find_broken(const GroupNumbers& before, const GroupNumbers& after, std::size_t place,
                               const Transition& transition, Outcomes told, bool aged) {
  if (!transition.violated.empty()) return transition.violated;
  std::string broken;
  if (contradictions(outcomes(after) | told) != 0) return find_contradiction(after, told);
  if (transition.told != 0) broken = find_dishonest(after, transition.told, aged);
  if (!broken.empty() || before[place] == after[place]) return broken;
  if (place == 0) broken = find_invalid(before, after);
  if (broken.empty()) broken = find_unvoted(before, after, place);
  if (broken.empty() && model_->serial) broken = find_unserial(after);
  return broken;
}

std::string Scene::find_contradiction(const GroupNumbers& groups, Outcomes told) const {
  std::string words;
  const Outcomes both = contradictions(outcomes(groups) | told);
  for (std::size_t txn = 0; txn < model_->txns.size(); ++txn) {
    if ((both & outcome_bit(txn, true)) == 0) continue;
    words = fmt::format("A1: {} is", name(txn));
    const auto add = [&](Outcomes where, const std::string& place) {
      if ((where & outcome_bit(txn, true)) != 0) words += " committed " + place + ",";
      if ((where & outcome_bit(txn, false)) != 0) words += " aborted " + place + ",";
    };
    for (std::size_t place = 0; place < groups_.size(); ++place) {
      add(facts(groups, place).outcomes, "at " + Names::of(ids_[place]));
    }
    add(told, "to a client");
    words.pop_back();
    return words;
  }
  return words;
}

// A3: when the coordinator's log decides to commit, each participant's log holds a yes to that very attempt, and the
// record names them all.
std::string Scene::find_invalid(const GroupNumbers& before, const GroupNumbers& after) const {
  for (std::size_t txn = 0; txn < model_->txns.size(); ++txn) {
    const Outcomes bit = outcome_bit(txn, true);
    if (by_content(protocol(txn))) continue;
    if ((facts(after, 0).outcomes & bit) == 0 || (facts(before, 0).outcomes & bit) != 0) continue;
    const Standing& record = facts(after, 0).standing[txn];
    if (!record.names_all) return fmt::format("A3: the record of {} leaves out a participant", name(txn));
    for (const Branch& branch : model_->txns[txn].branches) {
      const Standing& there = facts(after, place_of(branch.shard)).standing[txn];
      const bool yes = there.kind == Standing::Kind::prepared || there.kind == Standing::Kind::committed;
      if (yes && there.attempt == record.attempt) continue;
      return fmt::format("A3: {} is decided in attempt ({},{}), and the log of {} holds no yes to it", name(txn),
                         record.attempt.epoch, record.attempt.number, Names::of(branch.shard));
    }
  }
  return {};
}

// A3 where votes or ballots decide: whoever writes down a commit, every participant's register holds a yes by then; and
// where ballots do, a majority has accepted it.
std::string Scene::find_unvoted(const GroupNumbers& before, const GroupNumbers& after, std::size_t place) const {
  for (std::size_t txn = 0; txn < model_->txns.size(); ++txn) {
    const Outcomes bit = outcome_bit(txn, true);
    const Outcomes fresh = facts(after, place).outcomes & ~facts(before, place).outcomes;
    if ((fresh & bit) == 0 || !by_content(protocol(txn)) || decided(after, txn, true)) continue;
    return fmt::format("A3: {} is committed at {}, and {}", name(txn), Names::of(ids_[place]),
                       all_yes(after, txn) ? "no majority has accepted it" : "not every participant's log holds a yes");
  }
  return {};
}

bool Scene::decided(const GroupNumbers& groups, std::size_t txn, bool commit) const {
  if (votes_decide(protocol(txn))) return commit && all_yes(groups, txn);
  if (!ballots_decide(protocol(txn))) return false;
  return majority_accepted(groups, txn, commit) && (!commit || all_yes(groups, txn));
}

// Every group of a model is an acceptor of its transactions.
bool Scene::majority_accepted(const GroupNumbers& groups, std::size_t txn, bool commit) const {
  for (std::size_t what = 0; what < language_.accepted.size(); ++what) {
    const auto number = static_cast<std::uint16_t>(what);
    if ((language_.accepted.at(number).second == Outcome::committed) != commit) continue;
    std::size_t count = 0;
    for (std::size_t place = 0; place < groups_.size(); ++place) {
      count += (facts(groups, place).accepted[txn] >> what) & 1U;
    }
    if (2 * count > groups_.size()) return true;
  }
  return false;
}

// What was committed and forgotten was a yes.
bool Scene::all_yes(const GroupNumbers& groups, std::size_t txn) const {
  const auto& branches = model_->txns[txn].branches;
  return std::all_of(branches.begin(), branches.end(), [&](const Branch& branch) {
    const GroupFacts& there = facts(groups, place_of(branch.shard));
    const Standing::Kind kind = there.standing[txn].kind;
    return kind == Standing::Kind::prepared || kind == Standing::Kind::committed ||
           (there.outcomes & outcome_bit(txn, true)) != 0;
  });
}

// A6: "committed" is told when a log says so, or every register does where the votes decide, or a majority of the
// acceptors where ballots do; "aborted" when a log holds the no that makes it final, when a majority has accepted that,
// or when the id is too old to be accepted by any log.
std::string Scene::find_dishonest(const GroupNumbers& groups, Outcomes told_now, bool aged) const {
  const Outcomes held = outcomes(groups);
  for (std::size_t txn = 0; txn < model_->txns.size(); ++txn) {
    for (const bool commit : {true, false}) {
      const Outcomes bit = outcome_bit(txn, commit);
      if ((told_now & bit) == 0 || (held & bit) != 0 || (aged && !commit)) continue;
      if (decided(groups, txn, commit)) continue;
      return fmt::format("A6: a client is told that {} is {}, and no log says so", name(txn),
                         commit ? "committed" : "aborted");
    }
  }
  return {};
}

// I1: there is an order in which the committed transactions, run one after the other, read and write what they did.
std::string Scene::find_unserial(const GroupNumbers& groups) {
  Outcomes committed = 0;
  for (std::size_t txn = 0; txn < model_->txns.size(); ++txn) committed |= outcomes(groups) & outcome_bit(txn, true);
  if (committed == 0) return {};
  Digest key;
  key.add(committed);
  for (std::size_t place = 1; place < groups_.size(); ++place) {
    for (const std::uint16_t result : facts(groups, place).results) key.add(result);
  }
  const auto [found, fresh] = serial_.emplace(key.value(), true);
  if (fresh) found->second = serial(committed, groups);
  if (found->second) return {};
  std::string words = "I1: no serial order gives what the committed transactions read and wrote:";
  for (std::size_t txn = 0; txn < model_->txns.size(); ++txn) {
    for (std::size_t place = 1; place < groups_.size(); ++place) {
      const std::uint16_t result = facts(groups, place).results[txn];
      if (result == 0) continue;
      words += fmt::format(" {} at {}{}", name(txn), Names::of(ids_[place]),
                           language_.results.at(static_cast<std::uint16_t>(result - 1U)));
    }
  }
  return words;
}

namespace {

// Alone, one transaction's work as its shard would do it.
bool run_alone(MemoryStore& store, const Evaluation& work) {
  for (std::size_t i = 0; i < work.effects.adds.size(); ++i) {
    const CounterAdd& add = work.effects.adds[i];
    if (!fits(work.counters[i], add, {}) || !store.add(add.key, add.delta)) return false;
  }
  return work.effects.change.empty() || store.install(work.effects.change);
}

}  // namespace

bool Scene::serial(Outcomes committed, const GroupNumbers& groups) const {
  std::vector<std::size_t> order(model_->txns.size());
  std::iota(order.begin(), order.end(), 0U);
  const auto run = [&] {
    std::vector<MemoryStore> stores(groups_.size());
    for (const std::size_t txn : order) {
      if ((committed & outcome_bit(txn, true)) == 0) continue;
      for (const Branch& branch : model_->txns[txn].branches) {
        const std::size_t place = place_of(branch.shard);
        const auto evaluated = stores[place].evaluate(branch.work);
        if (!evaluated || !run_alone(stores[place], *evaluated)) return false;
        const std::uint16_t saw = facts(groups, place).results[txn];
        const bool known = saw != 0;
        if (known && language_.results.at(static_cast<std::uint16_t>(saw - 1U)) != describe(evaluated->result)) {
          return false;
        }
      }
    }
    return true;
  };
  do {
    if (run()) return true;
  } while (std::next_permutation(order.begin(), order.end()));
  return false;
}

// ---- narration
// -------------------------------------------------------------------------------------------------------

std::string Scene::headline(const Event& event) const {
  if (event.kind == Event::Kind::age) return "all clocks jump beyond every horizon";
  const std::string group = Names::of(ids_[event.group]);
  const std::string who = event.who == 0 ? group : fmt::format("the replaced leader of {}", group);
  switch (event.kind) {
    case Event::Kind::deliver:
      return fmt::format("{} hears {} of {}", who, describe(language_.names, language_.messages.at(event.what).message),
                         Names::of(language_.messages.at(event.what).from));
    case Event::Kind::ask: return fmt::format("a client asks {}: {}", who, model_->asks[event.what / 8U].name);
    case Event::Kind::tick: return fmt::format("time passes at {}", who);
    case Event::Kind::commit: return fmt::format("the log of {} commits an entry", group);
    case Event::Kind::refuse: return fmt::format("the log of {} takes back its last entry", group);
    case Event::Kind::resign: return fmt::format("{} learns that it was replaced", who);
    default: break;
  }
  return fmt::format("{} elects another leader; {} entries survive{}", group, event.what,
                     event.carry ? ", the rest is carried into the new epoch" : "");
}

void Scene::narrate(const GroupNumbers& groups, const Event& event, std::vector<std::string>& lines) {
  lines.push_back(headline(event));
  if (event.kind != Event::Kind::age) groups_[event.group]->narrate(groups[event.group], event, lines);
}

}  // namespace assent::explore
