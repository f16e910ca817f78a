// The crash matrix: one transaction's failure-free run, and at each of its steps each fault, then each pair of faults.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "world.h"

namespace assent::testing {
namespace {

constexpr GroupId groups[] = {coordinator_group, shard_1, shard_2};

WorldOptions quick() {
  WorldOptions options;
  options.conductor.timeout_ticks = 40;
  options.conductor.resend_ticks = 3;
  options.conductor.resend_ticks_max = 10;
  options.conductor.end_ticks = 2;
  options.caretaker.resend_ticks = 3;
  options.caretaker.resend_ticks_max = 10;
  options.caretaker.resolve_ticks = 10;
  options.conductor.resolve_ticks = 40;
  options.conductor.note_ticks = 2;
  options.conductor.ballot_ticks = 30;
  return options;
}

// One fault: a leader is replaced, with none or all of its unfinished log surviving, and learns of it or goes on; the
// next message is lost, or doubled; time passes, so that everything is said again and time-outs fire; or it passes for
// deposed leaders alone, which then abort what they take for theirs.
struct Fault {
  enum class Kind { elect, lose, twice, time, late } kind = Kind::elect;
  GroupId group;
  bool survives = false;
  bool learns = false;
};

std::vector<Fault> faults() {
  std::vector<Fault> all;
  for (const GroupId group : groups) {
    for (const bool survives : {false, true}) {
      for (const bool learns : {false, true}) all.push_back({Fault::Kind::elect, group, survives, learns});
    }
  }
  all.push_back({Fault::Kind::lose, {}, false, false});
  all.push_back({Fault::Kind::twice, {}, false, false});
  all.push_back({Fault::Kind::time, {}, false, false});
  all.push_back({Fault::Kind::late, {}, false, false});
  return all;
}

void strike(World& world, const Fault& fault) {
  switch (fault.kind) {
    case Fault::Kind::elect:
      world.elect(fault.group, fault.survives ? world.pending(fault.group) : 0);
      if (fault.learns) world.depose(fault.group, 0);
      break;
    case Fault::Kind::lose:
      if (!world.network().empty()) world.drop(0);
      break;
    case Fault::Kind::twice:
      if (!world.network().empty()) world.deliver(0, true);
      break;
    case Fault::Kind::time:
      for (int i = 0; i < 45; ++i) {
        world.advance(10);
        for (const GroupId group : groups) world.tick(group, true);
      }
      break;
    case Fault::Kind::late:
      for (int i = 0; i < 45; ++i) {
        for (const GroupId group : groups) world.tick_deposed(group);
      }
  }
}

// The next step of the failure-free order: what is in a log is committed, then the oldest message is delivered; deposed
// leaders hear it as well. False: nothing is left to do but to wait.
bool step(World& world) {
  for (const GroupId group : groups) {
    if (world.commit(group)) return true;
  }
  if (world.network().empty()) return false;
  const GroupId to = world.network()[0].to;
  for (std::size_t i = 0; i < world.deposed(to); ++i) world.deliver(0, true, i);
  world.deliver(0, false);
  return true;
}

struct Verdict {
  Outcome outcome = Outcome::none;
  std::size_t steps = 0;
};

// Runs a transfer of 5 with the faults at the given steps, to its end, and checks everything.
Verdict run(Protocol protocol, const std::vector<std::pair<std::size_t, Fault>>& plan) {
  World world(quick());
  for (const GroupId group : groups) world.commit(group);  // each has a stamp
  Execute execute = transfer(txn(1), {add("a", -5)}, {add("b", 5)});
  execute.protocol = protocol;
  std::uint64_t requests = 0;
  std::size_t answers = 0;
  std::size_t wanted = 1;  // a client that hears nothing definite, or loses its coordinator, sends it again
  world.on_reply = [&](const ClientReply& reply) {
    ++answers;
    if (!reply.answer) ++wanted;
  };
  Verdict verdict;
  auto next = plan.begin();
  for (std::size_t at = 0;; ++at) {
    for (; requests < wanted;) world.request(RequestId(++requests), coordinator_group, execute);
    for (; next != plan.end() && next->first == at; ++next) {
      strike(world, next->second);
      const bool silent = next->second.kind == Fault::Kind::elect && !next->second.learns;
      if (silent && next->second.group == coordinator_group) ++wanted;
    }
    if (!step(world) && requests == wanted) {
      verdict.steps = at;
      break;
    }
  }
  EXPECT_TRUE(world.converge()) << "A5";
  EXPECT_TRUE(world.quiescent()) << "A7";
  world.request(RequestId(++requests), coordinator_group, GetOutcome{txn(1), true, 100});
  EXPECT_TRUE(world.converge());
  world.request(RequestId(++requests), coordinator_group, execute);  // once more, by a client that never heard
  EXPECT_TRUE(world.converge());
  EXPECT_EQ(answers, requests) << "one request, one answer";
  for (const std::string& violation : world.violations()) ADD_FAILURE() << violation;
  verdict.outcome = world.outcome(txn(1));
  const bool committed = verdict.outcome == Outcome::committed;
  EXPECT_EQ(world.shard(shard_1).leader->store.get("a").value_or("none"), committed ? "-5" : "none");
  EXPECT_EQ(world.shard(shard_2).leader->store.get("b").value_or("none"), committed ? "5" : "none");
  return verdict;
}

std::string name(const Fault& fault) {
  constexpr const char* kinds[] = {"elect", "lose", "twice", "time", "late"};
  return fmt::format("{} {} survives={} learns={}", kinds[static_cast<int>(fault.kind)], fault.group, fault.survives,
                     fault.learns);
}

class CrashMatrix : public ::testing::TestWithParam<Protocol> {};

INSTANTIATE_TEST_SUITE_P(Protocols, CrashMatrix,
                         ::testing::Values(Protocol::two_phase, Protocol::paxos_commit, Protocol::three_phase),
                         [](const auto& one) {
                           std::string name(to_string(one.param));
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

TEST_P(CrashMatrix, A4_WithoutAFaultItCommits) {
  const Verdict verdict = run(GetParam(), {});
  EXPECT_EQ(verdict.outcome, Outcome::committed);
  EXPECT_GE(verdict.steps, GetParam() == Protocol::two_phase ? 13U : 12U);  // 8 messages, and 5 or 4 entries at least
}

TEST_P(CrashMatrix, P01_EveryFaultAtEveryStep) {
  const std::size_t steps = run(GetParam(), {}).steps;
  std::size_t committed = 0;
  std::size_t aborted = 0;
  for (std::size_t at = 0; at <= steps; ++at) {
    for (const Fault& fault : faults()) {
      SCOPED_TRACE(fmt::format("step {}: {}", at, name(fault)));
      const Verdict verdict = run(GetParam(), {{at, fault}});
      ASSERT_NE(verdict.outcome, Outcome::none);
      ++(verdict.outcome == Outcome::committed ? committed : aborted);
      const bool no_leader_lost = fault.kind == Fault::Kind::lose || fault.kind == Fault::Kind::twice;
      if (no_leader_lost) {
        EXPECT_EQ(verdict.outcome, Outcome::committed) << "A4: said again, it is heard";
      }
      if (::testing::Test::HasFailure()) return;
    }
  }
  EXPECT_GT(committed, 100U);
  if (GetParam() != Protocol::paxos_commit) {
    EXPECT_GT(aborted, 5U);
  } else {
    EXPECT_EQ(aborted, 0U) << "what its client sends again is finished from the votes, whoever died";
  }
}

TEST_P(CrashMatrix, P02_EveryPairOfFaults) {
  const std::size_t steps = run(GetParam(), {}).steps;
  const std::vector<Fault> all = faults();
  for (std::size_t first = 0; first <= steps; ++first) {
    for (std::size_t second = first; second <= steps + 3; ++second) {
      for (const Fault& one : all) {
        for (const Fault& two : all) {
          SCOPED_TRACE(fmt::format("step {}: {}; step {}: {}", first, name(one), second, name(two)));
          run(GetParam(), {{first, one}, {second, two}});
          if (::testing::Test::HasFailure()) return;
        }
      }
    }
  }
}

void lose(World& world, std::size_t kind, GroupId shard) {
  for (std::size_t i = world.network().size(); i-- > 0;) {
    const Envelope& envelope = world.network()[i];
    if (envelope.message.index() == kind && (envelope.to == shard || envelope.from == shard)) world.drop(i);
  }
}

TEST_P(CrashMatrix, P03_AKindOfMessageLostForALongTime) {
  for (std::size_t kind = 0; kind < std::variant_size_v<TxnMessage>; ++kind) {
    for (const GroupId shard : {shard_1, shard_2}) {
      SCOPED_TRACE(fmt::format("kind {} of shard {}", kind, shard));
      World world(quick());
      Execute execute = transfer(txn(1), {add("a", -5)}, {add("b", 5)});
      execute.protocol = GetParam();
      world.request(RequestId(1), coordinator_group, execute);
      for (int ticks = 0; ticks < 200; ++ticks) {
        do {
          lose(world, kind, shard);
        } while (step(world));
        world.advance(10);
        for (const GroupId group : groups) world.tick(group, false);
      }
      EXPECT_TRUE(world.converge());
      for (const std::string& violation : world.violations()) ADD_FAILURE() << violation;
      EXPECT_NE(world.outcome(txn(1)), Outcome::none);
    }
  }
}

TEST(World, A4_TransactionsThatDoNotConflictAllCommit) {
  World world;
  constexpr std::uint64_t count = 100;
  std::uint64_t committed = 0;
  world.on_reply = [&](const ClientReply& reply) {
    committed += reply.answer && std::get<TxnAnswer>(*reply.answer).state == TxnState::committed ? 1 : 0;
  };
  for (std::uint64_t n = 1; n <= count; ++n) {
    const std::string key = fmt::format("account/{}", n);
    world.request(RequestId(n), coordinator_group, transfer(txn(n), {add(key, -1)}, {add(key, 1)}));
  }
  EXPECT_TRUE(world.converge());
  EXPECT_EQ(committed, count);
  EXPECT_TRUE(world.violations().empty());
}

TEST(World, P27_TransactionsThatCrossEachOtherEndAndAllCommitWithRetries) {
  World world(quick());
  std::map<RequestId, Execute> asked;
  std::uint64_t requests = 0;
  std::uint64_t committed = 0;
  std::vector<Execute> again;
  world.on_reply = [&](const ClientReply& reply) {
    ASSERT_TRUE(reply.answer);
    const auto& answer = std::get<TxnAnswer>(*reply.answer);
    if (answer.state == TxnState::committed) {
      ++committed;
    } else {
      again.push_back(asked.at(reply.id));
    }
  };
  constexpr std::uint64_t count = 12;
  std::uint64_t ids = count;
  for (std::uint64_t n = 1; n <= count; ++n) {
    Execute execute = transfer(txn(n), {add(n % 2 == 0 ? "a" : "b", 1)}, {add(n % 3 == 0 ? "a" : "b", 1)});
    execute.age = txn(n);
    again.push_back(execute);
  }
  Rng rng(1);
  for (int round = 0; round < 400 && committed < count; ++round) {
    for (Execute& execute : std::exchange(again, {})) {
      execute.txn = txn(++ids, round);  // a new id for each attempt, with the age of the first
      asked[RequestId(++requests)] = execute;
      world.request(RequestId(requests), coordinator_group, execute);
    }
    for (int i = 0; i < 40; ++i) {
      if (!world.network().empty()) world.deliver(rng.below(world.network().size()), false);
      world.commit(groups[rng.below(3)]);
    }
    world.advance(10);
    for (const GroupId group : groups) world.tick(group, false);
  }
  EXPECT_TRUE(world.converge());
  EXPECT_EQ(committed, count) << "wait-die with kept ages starves nobody";
  EXPECT_TRUE(world.violations().empty());
}

// P14, P15: a Finish of one transaction comes when the next holds the same keys.
TEST(World, P14_ALateFinishDoesNotTouchTheNextTransaction) {
  World world(quick());
  world.request(RequestId(1), coordinator_group, transfer(txn(1), {add("a", -5)}, {add("b", 5)}));
  EXPECT_TRUE(world.converge());
  world.request(RequestId(2), coordinator_group, transfer(txn(2), {add("a", -7)}, {add("b", 7)}));
  while (!world.network().empty() && world.shard(shard_1).leader->machine.prepared(txn(2)) == nullptr) step(world);
  auto& shard = *world.shard(shard_1).leader;
  for (const bool commit : {true, false}) {
    shard.driver.receive(Envelope{coordinator_group, shard_1, Finish{txn(1), Attempt{Epoch(1), 1}, commit}});
    shard.driver.receive(Envelope{coordinator_group, shard_1, Finish{txn(2), Attempt{Epoch(1), 1}, commit}});
  }
  EXPECT_TRUE(proposed<FinishWork>(shard.driver.take_output().propose).empty());
  EXPECT_NE(shard.machine.prepared(txn(2)), nullptr);
  EXPECT_TRUE(world.converge());
  EXPECT_EQ(shard.store.get("a"), "-12");
}

}  // namespace
}  // namespace assent::testing
