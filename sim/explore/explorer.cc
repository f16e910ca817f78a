#include "sim/explore/explorer.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <chrono>

#include "base/check.h"
#include "base/digest.h"
#include "sim/explore/convergence.h"
#include "sim/explore/scene.h"

namespace assent::explore {
namespace {

// What of the bounds is used up, a few bits a field, each with a guard bit above: compared field by field at once.
class Used {
 public:
  static constexpr unsigned bits = 4;  // three and the guard
  static constexpr std::uint64_t guards = 0x8888888888888888ULL;

  [[nodiscard]] static unsigned get(std::uint64_t used, unsigned field) { return (used >> (bits * field)) & 7U; }
  [[nodiscard]] static std::uint64_t one_more(std::uint64_t used, unsigned field) {
    return used + (1ULL << (bits * field));
  }
  // No field of less is above that of more.
  [[nodiscard]] static bool within(std::uint64_t less, std::uint64_t more) {
    return (((more | guards) - less) & guards) == guards;
  }
};

// Fields of Used.
constexpr unsigned elections_field = 0;
constexpr unsigned elections_of_field = 1;  // and the next three: one a group
constexpr unsigned refusals_field = 5;
constexpr unsigned asks_field = 6;
constexpr std::size_t asks_max = 10;

constexpr std::uint32_t nobody = 0xFFFFFFFFU;

struct State {
  GroupNumbers groups{};
  std::uint32_t network = 0;
  Outcomes told = 0;
  std::uint64_t used = 0;
  std::uint32_t parent = nobody;
  std::uint32_t event = 0;      // packed, that led here
  std::uint32_t next = nobody;  // with the same groups and age
  bool aged = false;
  bool skipped = false;  // another one covers it: not gone on from
};

// States by their groups: an open hash table of the heads of chains.
class Chains {
 public:
  explicit Chains(const std::vector<State>& states) : states_(&states), heads_(1U << 16U, nobody) {}

  // The head of the chain with these groups and age; nobody: there is none, and it is to be set.
  std::uint32_t& head(const GroupNumbers& groups, bool aged) {
    if (count_ * 2 > heads_.size()) grow();
    std::size_t slot = home(groups, aged);
    while (heads_[slot] != nobody) {
      const State& state = (*states_)[heads_[slot]];
      if (state.groups == groups && state.aged == aged) return heads_[slot];
      slot = (slot + 1) & (heads_.size() - 1);
    }
    return heads_[slot];
  }
  void added() { ++count_; }
  [[nodiscard]] const std::vector<std::uint32_t>& heads() const { return heads_; }
  [[nodiscard]] std::size_t size() const { return count_; }

 private:
  [[nodiscard]] std::size_t home(const GroupNumbers& groups, bool aged) const {
    std::uint64_t hash = aged ? 0x9E3779B97F4A7C15ULL : 0;
    for (const std::uint32_t group : groups) hash = (std::rotl(hash, 23) ^ group) * 0xD6E8FEB86659FD93ULL;
    return (hash ^ (hash >> 32U)) & (heads_.size() - 1);
  }
  void grow() {
    const std::vector<std::uint32_t> old = std::exchange(heads_, std::vector<std::uint32_t>(heads_.size() * 2, nobody));
    for (const std::uint32_t index : old) {
      if (index == nobody) continue;
      std::size_t slot = home((*states_)[index].groups, (*states_)[index].aged);
      while (heads_[slot] != nobody) slot = (slot + 1) & (heads_.size() - 1);
      heads_[slot] = index;
    }
  }

  const std::vector<State>* states_;
  std::vector<std::uint32_t> heads_;
  std::size_t count_ = 0;
};

class Explorer {
 public:
  Explorer(const Model& model, const ExploreOptions& options)
      : model_(model), options_(options), scene_(model), convergence_(scene_), chains_(states_) {
    convergence_.remember();
    ASSENT_CHECK(model.asks.size() <= asks_max && model.txns.size() <= txns_max, "the model fits the explorer");
    if (options.doubt_digests) {
      for (std::size_t place = 0; place < scene_.size(); ++place) scene_.group(place).doubt_digests();
    }
  }

  Findings run() {
    const auto start = std::chrono::steady_clock::now();
    search();
    if (findings_.violated.empty() && !cut_short_ && options_.converge) converge();
    findings_.complete = findings_.violated.empty() && !cut_short_;
    findings_.states = states_.size();
    findings_.combinations = chains_.size();
    for (const State& state : states_) {
      const Outcomes held = scene_.outcomes(state.groups);
      findings_.can_commit |= (held & outcome_bit(0, true)) != 0;
      findings_.can_abort |= (held & outcome_bit(0, false)) != 0;
    }
    findings_.messages = scene_.language().messages.size();
    for (std::size_t place = 0; place < scene_.size(); ++place) {
      findings_.sides += scene_.group(place).sides();
      findings_.code_steps += scene_.group(place).steps();
    }
    findings_.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    return findings_;
  }

 private:
  void search() {
    State first;
    first.groups = scene_.initial();
    states_.push_back(first);
    chains_.head(first.groups, false) = 0;
    chains_.added();
    level_end_ = 1;
    for (std::uint32_t at = 0; at < states_.size() && findings_.violated.empty(); ++at) {
      if (at == level_end_) {
        ++findings_.depth;
        level_end_ = states_.size();
      }
      if (options_.progress != nullptr && at % (1U << 20U) == 0 && at > 0) {
        options_.progress(states_.size(), states_.size() - at, findings_.depth);
      }
      if (states_.size() > options_.states_max) {
        cut_short_ = true;
        return;
      }
      if (!states_[at].skipped) expand(at);
    }
  }

  // Every event that may be next. A copy: the vector grows.
  void expand(std::uint32_t at) {
    const State state = states_[at];
    for (std::size_t place = 0; place < scene_.size(); ++place) {
      const GroupFacts& facts = scene_.facts(state.groups, place);
      const unsigned pending = facts.pending;
      const unsigned replaced = facts.replaced;
      Event event{.group = static_cast<std::uint8_t>(place), .aged = state.aged};
      if (pending > 0) attempt(at, state, with(event, Event::Kind::commit));
      for (unsigned who = 0; who <= replaced; ++who) {
        event.who = static_cast<std::uint8_t>(who);
        deliver(at, state, event);
        ask(at, state, event);
        if (has_timer(place)) attempt(at, state, with(event, Event::Kind::tick));
      }
      event.who = 0;
      elect(at, state, event, pending);
      if (pending > 0 && Used::get(state.used, refusals_field) < model_.bounds.refusals) {
        attempt(at, state, with(event, Event::Kind::refuse), refusals_field);
      }
    }
    if (model_.bounds.ageing && !state.aged) attempt(at, state, Event{.kind = Event::Kind::age, .aged = true});
  }

  [[nodiscard]] bool has_timer(std::size_t place) const { return (model_.bounds.timers >> place & 1U) != 0; }

  static Event with(Event event, Event::Kind kind) {
    event.kind = kind;
    return event;
  }

  void deliver(std::uint32_t at, const State& state, Event event) {
    event.kind = Event::Kind::deliver;
    // A copy of the set: the table of networks grows.
    const MessageSet sent = networks_.at(state.network);
    const Hearing& hearing = scene_.group(event.group).hearing(state.groups[event.group], event.who);
    const MessageSet skip = options_.eager ? hearing.quiet : hearing.mute;
    sent.for_each(addressed(event.group), skip, [&](std::uint16_t message) {
      event.what = message;
      attempt(at, state, event);
    });
  }

  void ask(std::uint32_t at, const State& state, Event event) {
    event.kind = Event::Kind::ask;
    for (unsigned i = 0; i < model_.asks.size(); ++i) {
      const Ask& one = model_.asks[i];
      const unsigned times = Used::get(state.used, asks_field + i);
      if (times >= one.times || scene_.place_of(one.group) != event.group) continue;
      event.what = static_cast<std::uint16_t>(i * 8U + times);
      attempt(at, state, event, asks_field + i);
    }
  }

  void elect(std::uint32_t at, const State& state, Event event, unsigned pending) {
    event.kind = Event::Kind::elect;
    const Bounds& bounds = model_.bounds;
    const unsigned most = event.group == 0 ? bounds.coordinator_elections : bounds.shard_elections;
    if (Used::get(state.used, elections_field) >= bounds.elections) return;
    if (Used::get(state.used, elections_of_field + event.group) >= most) return;
    for (unsigned survive = 0; survive <= pending; ++survive) {
      event.what = static_cast<std::uint16_t>(survive);
      for (const bool carry : {false, true}) {
        if (carry && (survive == pending || event.group != 0)) continue;
        event.carry = carry;
        attempt(at, state, event, elections_field, elections_of_field + event.group);
      }
    }
  }

  void attempt(std::uint32_t at, const State& state, const Event& event, unsigned field = nothing,
               unsigned second_field = nothing) {
    ++findings_.transitions;
    State next = state;
    next.parent = at;
    next.event = event.pack();
    next.aged = event.aged;
    if (field != nothing) next.used = Used::one_more(next.used, field);
    if (second_field != nothing) next.used = Used::one_more(next.used, second_field);
    if (event.kind != Event::Kind::age) {
      const Transition& transition = scene_.group(event.group).step(state.groups[event.group], event);
      if (opens_beyond(transition)) return;
      next.groups[event.group] = transition.to;
      next.told |= transition.told;
      next.network = networks_.with(state.network, transition.sends);
      const bool same = next.groups == state.groups && next.network == state.network && next.told == state.told;
      if (same && transition.violated.empty()) return;
      std::string broken = scene_.find_broken(state.groups, next.groups, event.group, transition, next.told, next.aged);
      if (!broken.empty() && findings_.violated.empty()) return report(next, std::move(broken));
    }
    enter(next);
  }

  void enter(State& next) {
    if (covered(next)) return;
    if (options_.eager) say_all(next);
    insert(next);
  }

  [[nodiscard]] bool covered(const State& next) {
    for (std::uint32_t at = chains_.head(next.groups, next.aged); at != nobody; at = states_[at].next) {
      if (!covers(states_[at], next)) continue;
      ++findings_.covered;
      return true;
    }
    return false;
  }

  // Whoever is in the chain, was reached in as many steps, and is not gone on from yet need not be.
  void insert(State& next) {
    std::uint32_t& head = chains_.head(next.groups, next.aged);
    for (std::uint32_t at = head; at != nobody && at >= level_end_; at = states_[at].next) {
      if (covers(next, states_[at])) states_[at].skipped = true;
    }
    if (head == nobody) chains_.added();
    next.next = head;
    head = static_cast<std::uint32_t>(states_.size());
    states_.push_back(next);
    if (options_.converge_at_once) converge_from(static_cast<std::uint32_t>(states_.size() - 1));
  }

  // What changes nothing but that more was sent is done at once: the state after it covers the one before.
  void say_all(State& state) {
    for (bool more = true; more;) {
      more = false;
      for (std::size_t place = 0; place < scene_.size(); ++place) {
        const unsigned replaced = scene_.facts(state.groups, place).replaced;
        for (unsigned who = 0; who <= replaced; ++who) {
          Event event{
              .group = static_cast<std::uint8_t>(place), .who = static_cast<std::uint8_t>(who), .aged = state.aged};
          if (has_timer(place)) more |= say(state, with(event, Event::Kind::tick));
          const MessageSet sent = networks_.at(state.network);
          const MessageSet mute = scene_.group(place).hearing(state.groups[place], who).mute;
          event.kind = Event::Kind::deliver;
          sent.for_each(addressed(place), mute, [&](std::uint16_t message) {
            event.what = message;
            more |= say(state, event);
          });
        }
      }
    }
  }

  bool say(State& state, const Event& event) {
    ++findings_.transitions;
    const Transition& transition = scene_.group(event.group).step(state.groups[event.group], event);
    if (transition.to != state.groups[event.group] || (transition.told & ~state.told) != 0) return false;
    const std::uint32_t network = networks_.with(state.network, transition.sends);
    if (network == state.network || !transition.violated.empty()) return false;
    state.network = network;
    return true;
  }

  [[nodiscard]] bool covers(const State& more, const State& less) const {
    return (less.told & ~more.told) == 0 && Used::within(more.used, less.used) &&
           networks_.covers(more.network, less.network);
  }

  // The messages addressed to a group; the language grows as the search goes on.
  const MessageSet& addressed(std::size_t place) {
    for (; addressed_up_to_ < scene_.language().messages.size(); ++addressed_up_to_) {
      const Envelope& envelope = scene_.language().messages.at(static_cast<std::uint16_t>(addressed_up_to_));
      addressed_[scene_.place_of(envelope.to)].add(static_cast<std::uint16_t>(addressed_up_to_));
    }
    return addressed_[place];
  }

  // A ballot of a round above the bound, or of who opens none.
  bool opens_beyond(const Transition& transition) const {
    return std::any_of(transition.sends.begin(), transition.sends.end(), [&](std::uint16_t message) {
      const auto* request = std::get_if<BallotRequest>(&scene_.language().messages.at(message).message);
      if (request == nullptr || request->ballot.round == 0) return false;
      const bool may = (model_.bounds.openers >> scene_.place_of(request->ballot.by) & 1U) != 0;
      return !may || request->ballot.round > model_.bounds.rounds;
    });
  }

  // ---- afterwards ----

  void converge() {
    for (std::uint32_t at = 0; at < states_.size() && findings_.violated.empty(); ++at) converge_from(at);
    findings_.at_convergence = !findings_.violated.empty();
  }

  void converge_from(std::uint32_t at) {
    const State state = states_[at];
    const std::string broken = convergence_.run(state.groups, state.told, state.aged);
    if (broken.empty() || !findings_.violated.empty()) return;
    report(state, broken);
    findings_.counterexample.pop_back();
    findings_.counterexample.emplace_back("from here on without faults; what was in flight is lost:");
    static_cast<void>(Convergence(scene_).run(state.groups, state.told, state.aged, &findings_.counterexample));
    findings_.counterexample.push_back("violated: " + broken);
  }

  void report(const State& last, std::string broken) {
    std::vector<const State*> way = {&last};
    for (std::uint32_t at = last.parent; at != nobody; at = states_[at].parent) way.push_back(&states_[at]);
    std::reverse(way.begin(), way.end());
    findings_.steps = static_cast<unsigned>(way.size() - 1);
    for (std::size_t i = 1; i < way.size(); ++i) {
      std::vector<std::string> lines;
      scene_.narrate(way[i - 1]->groups, Event::unpack(way[i]->event), lines);
      lines.front() = fmt::format("{:>3}  {}", i, lines.front());
      for (std::string& line : lines) findings_.counterexample.push_back(std::move(line));
    }
    findings_.counterexample.push_back("violated: " + broken);
    findings_.violated = std::move(broken);
  }

  static constexpr unsigned nothing = 99;

  const Model& model_;
  ExploreOptions options_;
  Scene scene_;
  Convergence convergence_;
  Networks networks_;
  std::vector<State> states_;
  Chains chains_;
  std::array<MessageSet, groups_max> addressed_{};
  std::size_t addressed_up_to_ = 0;
  Findings findings_;
  bool cut_short_ = false;
  std::size_t level_end_ = 0;  // states from here on are one step further
};

}  // namespace

Findings explore(const Model& model, const ExploreOptions& options) {
  Findings found = Explorer(model, options).run();
  if (found.violated.empty() || !options.eager) return found;
  ExploreOptions exact = options;
  exact.eager = false;
  exact.converge = false;
  exact.converge_at_once = found.at_convergence;
  exact.states_max = std::max<std::uint64_t>(4'000'000, 4 * found.states);
  Findings shortest = Explorer(model, exact).run();
  shortest.seconds += found.seconds;
  if (!shortest.violated.empty()) return shortest;
  found.seconds = shortest.seconds;
  return found;
}

}  // namespace assent::explore
