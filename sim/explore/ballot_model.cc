#include "sim/explore/ballot_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <bitset>
#include <chrono>
#include <deque>
#include <optional>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "base/check.h"
#include "base/digest.h"
#include "base/planted.h"
#include "txn_proto/acceptor.h"
#include "txn_proto/termination.h"

namespace assent::explore {
namespace {

constexpr std::size_t places_max = 4;  // 0 is the coordinator's group, the others are shards
constexpr std::size_t messages_max = 256;
constexpr std::uint64_t print = 7;

enum class Register : std::uint8_t { empty, yes, no };

// Two bits: a set of outcomes.
using Outcomes = std::uint8_t;
constexpr Outcomes bit(Outcome outcome) { return outcome == Outcome::committed ? 1 : 2; }

GroupId group_of(std::size_t place) { return GroupId(place + 1); }
std::string name_of(std::size_t place) { return place == 0 ? "c" : fmt::format("s{}", place); }

struct Message {
  std::size_t from = 0;
  std::optional<BallotRequest> request;  // to every acceptor
  std::optional<BallotReply> reply;      // to everybody who asks; registers are said with it
  bool operator==(const Message&) const = default;
};

struct World {
  std::array<Register, places_max> registers{};
  std::array<Outcome, places_max> finished{};
  std::array<Acceptor, places_max> acceptors{};
  std::array<std::optional<Termination>, places_max> ways;
  std::array<unsigned, places_max> epochs{};
  std::bitset<messages_max> sent;
  Outcomes told = 0;  // to the client, and as Finish to the shards
  unsigned changes = 0;
};

struct Event {
  enum class Kind : std::uint8_t { vote_yes, vote_no, precommit, open, hear, tell, finish, change, time_out };
  Kind kind = Kind::vote_yes;
  std::uint8_t place = 0;
  std::uint16_t what = 0;  // a message; with finish, the outcome
};

class BallotExplorer {
 public:
  BallotExplorer(const BallotModel& model, std::uint64_t states_max) : model_(model), states_max_(states_max) {
    for (std::size_t place = 1; place < places(); ++place) participants_.push_back(group_of(place));
  }

  BallotFindings run() {
    const auto start = std::chrono::steady_clock::now();
    search();
    findings_.complete = findings_.violated.empty() && queue_.empty();
    findings_.states = steps_.size();
    findings_.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    return findings_;
  }

 private:
  struct Step {
    std::uint32_t parent = 0;
    Event event;
  };

  [[nodiscard]] std::size_t places() const { return model_.shards + 1; }

  // ---- what may happen ----

  std::vector<Event> events(const World& world) const {
    std::vector<Event> all;
    const auto add = [&](Event::Kind kind, std::size_t place, std::size_t what = 0) {
      all.push_back(Event{kind, static_cast<std::uint8_t>(place), static_cast<std::uint16_t>(what)});
    };
    for (std::size_t place = 0; place < places(); ++place) {
      if (place > 0 && world.registers[place] == Register::empty) {
        add(Event::Kind::vote_yes, place);
        add(Event::Kind::vote_no, place);
      }
      if (place == 0 && !world.ways[0] && knows_all_yes(world)) add(Event::Kind::precommit, 0);
      if ((model_.openers >> place & 1U) != 0 && may_open(world, place)) add(Event::Kind::open, place);
      if (world.changes < model_.changes) add(Event::Kind::change, place);
      for (std::size_t i = 0; i < messages_.size(); ++i) {
        if (world.sent[i] && concerns(world, place, messages_[i])) add(Event::Kind::hear, place, i);
      }
      if (const Outcome outcome = concluded(world, place);
          outcome != Outcome::none && (world.told & bit(outcome)) == 0) {
        add(Event::Kind::tell, place);
      }
      if (place == 0 || world.registers[place] != Register::yes || world.finished[place] != Outcome::none) continue;
      for (const Outcome outcome : {Outcome::committed, Outcome::aborted}) {
        const bool heard = (world.told & bit(outcome)) != 0 || concluded(world, place) == outcome;
        if (heard) add(Event::Kind::finish, place, static_cast<std::size_t>(outcome));
      }
      if (model_.plain) add(Event::Kind::time_out, place);
    }
    return all;
  }

  [[nodiscard]] bool knows_all_yes(const World& world) const {
    std::size_t yes = planted(Bug::precommit_before_all_votes) ? 1 : 0;
    for (std::size_t place = 1; place < places(); ++place) yes += world.registers[place] == Register::yes ? 1 : 0;
    return yes >= model_.shards;
  }

  // Who is in doubt, and the coordinator, whose time is up. It gives up a ballot only when that may be in vain.
  [[nodiscard]] bool may_open(const World& world, std::size_t place) const {
    const bool in_doubt =
        place == 0 || (world.registers[place] == Register::yes && world.finished[place] == Outcome::none);
    if (!in_doubt || concluded(world, place) != Outcome::none) return false;
    Termination way = way_of(world, place);
    way.open();
    return way.request().ballot.round <= model_.rounds;
  }

  [[nodiscard]] Termination way_of(const World& world, std::size_t place) const {
    if (world.ways[place]) return *world.ways[place];
    return Termination(TxnId{}, group_of(place), Epoch(world.epochs[place] + 1), group_of(0), participants_, print);
  }

  // That an acceptor has promised less than is asked of it, or more when no higher ballot may follow, changes nothing.
  [[nodiscard]] bool matters(const Termination& way, const BallotReply& reply) const {
    if (reply.standing != Standing::prepared || reply.value != Outcome::none) return true;
    const BallotRequest asked = way.request();
    if (reply.promised > asked.ballot) return asked.ballot.round < model_.rounds;
    return reply.promised == asked.ballot && asked.ballot.round > 0 && asked.value == Outcome::none;
  }

  // To hear what changes nothing is no step.
  [[nodiscard]] bool concerns(const World& world, std::size_t place, const Message& message) const {
    if (message.reply) {
      return world.ways[place].has_value() && concluded(world, place) == Outcome::none &&
             matters(*world.ways[place], *message.reply);
    }
    if (place > 0 && world.registers[place] == Register::empty) return true;
    const bool ended = world.finished[place] != Outcome::none || world.registers[place] == Register::no;
    return !ended && world.acceptors[place].would_change(message.request->ballot, message.request->value);
  }

  // What the leader there has found out. The coordinator hears a no as a vote, too.
  [[nodiscard]] Outcome concluded(const World& world, std::size_t place) const {
    if (model_.plain) return plain_concluded(world, place);
    if (place == 0) {
      for (std::size_t shard = 1; shard < places(); ++shard) {
        if (world.registers[shard] == Register::no) return Outcome::aborted;
      }
    }
    if (!world.ways[place]) return Outcome::none;
    switch (world.ways[place]->verdict()) {
      case Termination::Verdict::commit: return Outcome::committed;
      case Termination::Verdict::abort: return Outcome::aborted;
      default: return Outcome::none;
    }
  }

  // The textbook: all votes and then all acknowledgements. Acceptors stand for "has pre-committed".
  [[nodiscard]] Outcome plain_concluded(const World& world, std::size_t place) const {
    if (place != 0) return Outcome::none;
    std::size_t acknowledged = 0;
    for (std::size_t shard = 1; shard < places(); ++shard) {
      if (world.registers[shard] == Register::no) return Outcome::aborted;
      acknowledged += world.acceptors[shard].value == Outcome::committed ? 1 : 0;
    }
    return acknowledged == model_.shards ? Outcome::committed : Outcome::none;
  }

  // ---- what comes of it ----

  void act(World& world, const Event& event) {
    const std::size_t place = event.place;
    switch (event.kind) {
      case Event::Kind::vote_yes: world.registers[place] = Register::yes; break;
      case Event::Kind::vote_no: world.registers[place] = Register::no; break;
      case Event::Kind::precommit:
        world.ways[0] = way_of(world, 0);
        world.ways[0]->propose_commit();
        break;
      case Event::Kind::open:
        world.ways[place] = way_of(world, place);
        world.ways[place]->open();
        break;
      case Event::Kind::hear: hear(world, place, messages_[event.what]); break;
      case Event::Kind::tell: world.told |= bit(concluded(world, place)); break;
      case Event::Kind::finish: world.finished[place] = static_cast<Outcome>(event.what); break;
      case Event::Kind::change:
        ++world.changes;
        ++world.epochs[place];
        world.ways[place].reset();
        if (planted(Bug::promise_forgotten)) world.acceptors[place] = Acceptor{};
        break;
      case Event::Kind::time_out:
        world.finished[place] =
            world.acceptors[place].value == Outcome::committed ? Outcome::committed : Outcome::aborted;
        break;
    }
    say_all(world, place);
  }

  void hear(World& world, std::size_t place, const Message& message) {
    if (message.reply) return world.ways[place]->hear(group_of(message.from), *message.reply);
    const bool empty = place > 0 && world.registers[place] == Register::empty;
    if (model_.plain && empty) return;
    obey(world, place, *message.request);
  }

  // Whatever a group's log comes to hold, it says, and what its leader wants, it asks for: sent may still be never
  // heard.
  void say_all(World& world, std::size_t place) {
    if (world.ways[place]) send(world, Message{place, world.ways[place]->request(), {}});
    const bool speaks = place == 0 || world.registers[place] != Register::empty;
    if (speaks && !model_.plain) send(world, Message{place, {}, reply_of(world, place)});
  }

  // Whoever asks an empty register wants to know what it says: it is sealed.
  static void obey(World& world, std::size_t place, const BallotRequest& request) {
    if (place > 0 && world.registers[place] == Register::empty) world.registers[place] = Register::no;
    const bool ended = world.finished[place] != Outcome::none || world.registers[place] == Register::no;
    if (!ended) world.acceptors[place].apply(request.ballot, request.value);
  }

  static BallotReply reply_of(const World& world, std::size_t place) {
    BallotReply reply;
    reply.fingerprint = print;
    if (world.finished[place] == Outcome::committed) {
      reply.standing = Standing::committed;
    } else if (world.finished[place] == Outcome::aborted || world.registers[place] == Register::no) {
      reply.standing = Standing::aborted;
      reply.refusal.reason = AbortReason::sealed;
    } else {
      reply.promised = world.acceptors[place].promised;
      reply.accepted = world.acceptors[place].accepted;
      reply.value = world.acceptors[place].value;
    }
    return reply;
  }

  void send(World& world, const Message& message) {
    const auto found = std::find(messages_.begin(), messages_.end(), message);
    const auto number = static_cast<std::size_t>(found - messages_.begin());
    if (found == messages_.end()) messages_.push_back(message);
    ASSENT_CHECK(number < messages_max, "a model of ballots has few distinct messages");
    world.sent.set(number);
  }

  // ---- rules ----

  [[nodiscard]] std::string find_broken(const World& world) const {
    const Outcomes all = outcomes_held(world);
    if (all == 3) return "A1: the transaction is committed and aborted: " + outcomes(world);
    if ((all & bit(Outcome::committed)) == 0) return {};
    for (std::size_t place = 1; place < places(); ++place) {
      if (world.registers[place] != Register::yes)
        return "A3: committed, and the log of " + name_of(place) + " holds no yes";
    }
    if (!model_.plain && !ever_accepted_by_majority(world)) return "A6: committed, and no majority ever accepted it";
    return {};
  }

  [[nodiscard]] Outcomes outcomes_held(const World& world) const {
    Outcomes all = world.told;
    for (std::size_t place = 1; place < places(); ++place) {
      if (world.finished[place] != Outcome::none) all |= bit(world.finished[place]);
    }
    return all;
  }

  // Every state that an acceptor was in stands in the messages.
  [[nodiscard]] bool ever_accepted_by_majority(const World& world) const {
    std::vector<std::pair<Ballot, std::size_t>> accepted;
    for (std::size_t i = 0; i < messages_.size(); ++i) {
      if (!world.sent[i] || !messages_[i].reply || messages_[i].reply->value != Outcome::committed) continue;
      accepted.emplace_back(messages_[i].reply->accepted, messages_[i].from);
    }
    std::sort(accepted.begin(), accepted.end());
    accepted.erase(std::unique(accepted.begin(), accepted.end()), accepted.end());
    for (const auto& each : accepted) {
      const auto same =
          std::count_if(accepted.begin(), accepted.end(), [&](const auto& one) { return one.first == each.first; });
      if (2 * static_cast<std::size_t>(same) > places()) return true;
    }
    return false;
  }

  [[nodiscard]] std::string outcomes(const World& world) const {
    std::string words;
    for (std::size_t place = 1; place < places(); ++place) {
      if (world.finished[place] != Outcome::none) {
        words += fmt::format("{}{} at {}", words.empty() ? "" : ", ", to_string(world.finished[place]), name_of(place));
      }
    }
    if (world.told != 0)
      words +=
          std::string(words.empty() ? "" : ", ") + ((world.told & 1U) != 0 ? "committed" : "aborted") + " to a client";
    return words;
  }

  // A5, A7: with these groups lost for ever, the others end what they are in doubt about. In rounds: one leader after
  // the other opens a ballot, and all that is said is heard by those who are left.
  [[nodiscard]] std::string find_stuck(World world, unsigned gone) const {
    for (std::size_t place = 0; place < places(); ++place) {
      world.ways[place].reset();  // other leaders, and what was in flight is lost
      ++world.epochs[place];
    }
    for (std::size_t place = 1; place < places(); ++place) {
      if (lost(gone, place) || !in_doubt(world, place)) continue;
      bring_to_end(world, place, gone);
      if (in_doubt(world, place)) return fmt::format("A5, A7: {} stays in doubt for ever", name_of(place));
    }
    return outcomes_held(world) == 3 ? "A1: the transaction is committed and aborted: " + outcomes(world)
                                     : std::string();
  }

  static bool lost(unsigned gone, std::size_t place) { return (gone >> place & 1U) != 0; }
  static bool in_doubt(const World& world, std::size_t place) {
    return world.registers[place] == Register::yes && world.finished[place] == Outcome::none;
  }

  void bring_to_end(World& world, std::size_t place, unsigned gone) const {
    Termination way = way_of(world, place);
    for (unsigned tries = 0; tries < 4 && way.verdict() == Termination::Verdict::open; ++tries) {
      way.open();
      for (unsigned phase = 0; phase < 2 && !way.overtaken(); ++phase) {
        const BallotRequest asked = way.request();
        for (std::size_t other = 0; other < places(); ++other) {
          if (lost(gone, other)) continue;
          obey(world, other, asked);
          way.hear(group_of(other), reply_of(world, other));
        }
      }
    }
    if (way.verdict() == Termination::Verdict::commit) world.finished[place] = Outcome::committed;
    if (way.verdict() == Termination::Verdict::abort) world.finished[place] = Outcome::aborted;
  }

  // ---- the search ----

  // What the logs hold, and what was told.
  [[nodiscard]] std::uint64_t lasting_digest(const World& world) const {
    Digest digest;
    for (std::size_t place = 0; place < places(); ++place) {
      const Acceptor& acceptor = world.acceptors[place];
      digest.add(static_cast<std::uint64_t>(world.registers[place]) |
                 static_cast<std::uint64_t>(world.finished[place]) << 8U |
                 static_cast<std::uint64_t>(acceptor.value) << 16U | std::uint64_t{world.epochs[place]} << 24U);
      for (const Ballot& ballot : {acceptor.promised, acceptor.accepted}) {
        digest.add(ballot.round << 32U | ballot.by.value << 16U | ballot.epoch.value);
      }
    }
    return digest.add(world.told).value();
  }

  [[nodiscard]] std::uint64_t digest(const World& world) const {
    Digest digest;
    digest.add(lasting_digest(world)).add(world.changes);
    for (std::size_t place = 0; place < places(); ++place) {
      digest.add(world.ways[place] ? 1 : 0);
      if (world.ways[place]) world.ways[place]->add_to(digest);
    }
    return digest.value();
  }

  // By one with the same groups and no fewer messages: what was sent may also never be heard.
  bool covered(const World& world) {
    std::vector<std::bitset<messages_max>>& others = seen_[digest(world)];
    for (const auto& sent : others) {
      if ((world.sent & ~sent).none()) return true;
    }
    others.push_back(world.sent);
    return false;
  }

  void search() {
    enter(World{}, 0, Event{});
    std::uint32_t level_end = 1;
    for (std::uint32_t at = 0; !queue_.empty() && findings_.violated.empty(); ++at) {
      if (at == level_end) {
        ++findings_.depth;
        level_end = static_cast<std::uint32_t>(steps_.size());
      }
      const World world = std::move(queue_.front());
      queue_.pop_front();
      if (steps_.size() > states_max_) return;
      for (const Event& event : events(world)) {
        ++findings_.transitions;
        World next = world;
        act(next, event);
        if (!enter(std::move(next), at, event)) return;
      }
    }
  }

  // False: a rule is broken, and reported.
  bool enter(World world, std::uint32_t parent, const Event& event) {
    if (covered(world)) return true;
    steps_.push_back(Step{parent, event});
    std::string broken = find_broken(world);
    const bool fresh = ends_seen_.insert(lasting_digest(world)).second;  // of what find_stuck looks at
    for (unsigned gone = 0; fresh && broken.empty() && !model_.plain && gone < (1U << places()); ++gone) {
      const bool minority = 2 * static_cast<unsigned>(std::popcount(gone)) < places();
      if (!minority) continue;
      broken = find_stuck(world, gone);
      if (broken.empty()) continue;
      broken += "; from here on with these groups lost for ever:";
      for (std::size_t place = 0; place < places(); ++place) broken += lost(gone, place) ? " " + name_of(place) : "";
    }
    findings_.can_commit |= (world.told & bit(Outcome::committed)) != 0;
    findings_.can_abort |= (world.told & bit(Outcome::aborted)) != 0;
    if (!broken.empty()) {
      report(std::move(broken));
      return false;
    }
    queue_.push_back(std::move(world));
    return true;
  }

  void report(std::string broken) {
    std::vector<Event> way;
    for (std::uint32_t at = static_cast<std::uint32_t>(steps_.size() - 1); at != 0; at = steps_[at].parent) {
      way.push_back(steps_[at].event);
    }
    std::reverse(way.begin(), way.end());
    findings_.steps = static_cast<unsigned>(way.size());
    World world;
    for (std::size_t i = 0; i < way.size(); ++i) {
      findings_.counterexample.push_back(fmt::format("{:>3}  {}", i + 1, describe(world, way[i])));
      act(world, way[i]);
    }
    findings_.counterexample.push_back("violated: " + broken);
    findings_.violated = std::move(broken);
  }

  // ---- narration ----

  static std::string describe(const Ballot& ballot) {
    if (ballot.round == 0) return "ballot 0";
    return fmt::format("ballot ({},{},{})", ballot.round, name_of(ballot.by.value - 1), ballot.epoch.value);
  }

  [[nodiscard]] std::string describe(const World& world, const Event& event) const {
    const std::string who = name_of(event.place);
    switch (event.kind) {
      case Event::Kind::vote_yes: return who + " votes yes";
      case Event::Kind::vote_no: return who + " votes no";
      case Event::Kind::precommit: return "c knows that all votes are yes, and sends PreCommit to everybody";
      case Event::Kind::open: return "time is up at " + who + ": it opens another ballot";
      case Event::Kind::hear: return who + " hears " + describe(messages_[event.what]);
      case Event::Kind::tell: return fmt::format("{} tells: {}", who, to_string(concluded(world, event.place)));
      case Event::Kind::finish: return fmt::format("{} finishes: {}", who, to_string(static_cast<Outcome>(event.what)));
      case Event::Kind::change: return who + " has another leader";
      case Event::Kind::time_out:
        return fmt::format("time is up at {}, which {} pre-committed: it {}", who,
                           world.acceptors[event.place].value == Outcome::committed ? "has" : "has not",
                           world.acceptors[event.place].value == Outcome::committed ? "commits" : "aborts");
    }
    return {};
  }

  [[nodiscard]] std::string describe(const Message& message) const {
    const std::string from = name_of(message.from);
    if (message.request) {
      const BallotRequest& request = *message.request;
      if (model_.plain) return "PreCommit of " + from;
      if (request.value == Outcome::none) return fmt::format("{} asking to promise {}", from, describe(request.ballot));
      return fmt::format("{} asking to accept {} in {}", from, to_string(request.value), describe(request.ballot));
    }
    const BallotReply& reply = *message.reply;
    if (reply.standing != Standing::prepared) {
      return fmt::format("{}: {} here", from, reply.standing == Standing::committed ? "committed" : "aborted");
    }
    if (reply.value == Outcome::none) return fmt::format("{}: promised {}", from, describe(reply.promised));
    return fmt::format("{}: promised {}, accepted {} in {}", from, describe(reply.promised), to_string(reply.value),
                       describe(reply.accepted));
  }

  BallotModel model_;
  std::uint64_t states_max_;
  std::vector<GroupId> participants_;
  std::vector<Message> messages_;
  std::deque<World> queue_;
  std::vector<Step> steps_;
  std::unordered_map<std::uint64_t, std::vector<std::bitset<messages_max>>> seen_;
  std::unordered_set<std::uint64_t> ends_seen_;
  BallotFindings findings_;
};

}  // namespace

std::span<const BallotModel> ballot_models() {
  static const std::vector<BallotModel> all = {
      {.name = "ballots",
       .about = "the ballots of three-phase alone, two shards, one of which ends it; 1 round, no leader change",
       .changes = 0,
       .openers = 2},
      {.name = "ballots-changed", .about = "the same, with 1 leader change", .openers = 2, .quick = false},
      {.name = "ballots-duel",
       .about = "two shards, both of which end it; 1 round, no leader change",
       .changes = 0,
       .openers = 6,
       .quick = false},
      {.name = "ballots-3",
       .about = "three shards, one of which ends it; 1 round, no leader change",
       .shards = 3,
       .changes = 0,
       .openers = 2,
       .quick = false},
      {.name = "three-phase-plain", .about = "the textbook protocol, whose time-outs decide: it splits", .plain = true},
  };
  return all;
}

const BallotModel* find_ballot_model(const std::string& name) {
  const auto all = ballot_models();
  const auto found = std::find_if(all.begin(), all.end(), [&](const BallotModel& model) { return model.name == name; });
  return found == all.end() ? nullptr : &*found;
}

BallotFindings explore(const BallotModel& model, std::uint64_t states_max) {
  return BallotExplorer(model, states_max).run();
}

}  // namespace assent::explore
