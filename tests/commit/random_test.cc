// Random histories: clients that retry, lose answers and ask for outcomes; messages lost, doubled, reordered and late;
// leaders replaced, their log's tail lost, deposed ones that go on; logs that refuse. Then the faults end and all must
// end.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>

#include "base/rng.h"
#include "world.h"

namespace assent::testing {
namespace {

// What one seed does how often: drawn anew for each, zero is a value.
struct Swarm {
  double drop, keep, to_deposed, elect, depose, refuse, lose_answer;
  std::uint64_t clients, keys, slots, steps, records_max, commit_weight, tick_weight;
  bool short_retention, carry;
  double paxos;       // share of Paxos Commit among transactions of both shards
  double ballots;     // before that, of three-phase
  double services;    // share of transactions with services among those of the coordinator
  double service_no;  // of their votes
  double recorded;    // share of sagas and tcc among those with services
  double retriable;   // share of sagas whose last steps are retriable
  double trouble;     // of calls to services
  double operators;   // an operator retries, or ends a service's part by hand
};

Swarm draw(Rng& rng) {
  const auto sometimes = [&](double most) { return rng.chance(0.4) ? 0.0 : rng.unit() * most; };
  return Swarm{.drop = sometimes(0.4),
               .keep = sometimes(0.4),
               .to_deposed = sometimes(0.5),
               .elect = sometimes(0.02),
               .depose = sometimes(0.05),
               .refuse = sometimes(0.1),
               .lose_answer = sometimes(0.3),
               .clients = rng.between(1, 6),
               .keys = rng.between(1, 5),
               .slots = rng.between(1, 6),
               .steps = rng.between(200, 1'200),
               .records_max = rng.between(0, 10),
               .commit_weight = rng.between(1, 6),
               .tick_weight = rng.between(1, 4),
               .short_retention = rng.chance(0.25),
               .carry = rng.chance(0.2),
               .paxos = rng.chance(0.3)   ? 1.0
                        : rng.chance(0.2) ? 0.0
                                          : rng.unit(),
               .ballots = rng.chance(0.3)   ? 1.0
                          : rng.chance(0.3) ? 0.0
                                            : rng.unit(),
               .services = sometimes(1.0),
               .service_no = sometimes(0.3),
               .recorded = sometimes(1.0),
               .retriable = sometimes(1.0),
               .trouble = sometimes(0.6),
               .operators = sometimes(0.1)};
}

Swarm with_sagas(Swarm swarm) {
  swarm.services = 0.9;
  swarm.recorded = 0.9;
  swarm.retriable = 0.6;
  swarm.trouble = 0.5;
  swarm.operators = 0.1;
  return swarm;
}

WorldOptions options_for(const Swarm& swarm) {
  WorldOptions options;
  options.conductor.timeout_ticks = 60;
  options.conductor.resend_ticks = 3;
  options.conductor.resend_ticks_max = 10;
  options.conductor.end_ticks = 5;
  options.conductor.end_batch = 3;
  options.conductor.tidy_ticks = 50;
  options.caretaker.prepare_timeout_ticks = 20;
  options.caretaker.settle_ticks = 10;
  options.caretaker.query_timeout_ticks = 100;
  options.caretaker.query_hold_ticks = 5;
  options.caretaker.resend_ticks = 3;
  options.caretaker.resend_ticks_max = 10;
  options.caretaker.tidy_ticks = 50;
  options.caretaker.resolve_ticks = 10;
  options.caretaker.confirm_ticks = 20;
  options.conductor.resolve_ticks = 30;
  options.conductor.note_ticks = 5;
  options.conductor.ballot_ticks = 30;
  options.conductor.service_failures_max = 3;
  options.conductor.failing_ticks = 40;
  options.decisions.history.records_max = swarm.records_max;
  if (swarm.short_retention) {
    options.shard.window.retention_millis = 1'500;
    options.decisions.window.retention_millis = 1'500;
    options.decisions.history.keep_millis = 500;
  }
  return options;
}

constexpr GroupId groups[] = {coordinator_group, shard_1, shard_2};

class History {
 public:
  explicit History(std::uint64_t seed, bool sagas = false)
      : rng_(seed),
        swarm_(sagas ? with_sagas(draw(rng_)) : draw(rng_)),
        world_(options_for(swarm_)),
        clients_(swarm_.clients) {
    world_.rng = rng_.split("refusals");
    world_.refuse_chance = swarm_.refuse;
    world_.service_no_chance = swarm_.service_no;
    world_.trouble_chance = swarm_.trouble;
    world_.retriable = [this](const TxnId& id, GroupId service) {
      const auto& branches = txns_.at(id).execute.branches;
      return std::any_of(branches.begin(), branches.end(),
                         [&](const Branch& one) { return one.shard == service && is_retriable(one); });
    };
    world_.takes_part = [this](const TxnId& id, GroupId shard) {
      const auto& branches = txns_.at(id).execute.branches;
      return std::any_of(branches.begin(), branches.end(), [&](const Branch& one) { return one.shard == shard; });
    };
    world_.mode_of = [this](const TxnId& id) {
      const auto found = txns_.find(id);
      return found == txns_.end() ? Mode::atomic : found->second.execute.mode;
    };
    if (const char* told = std::getenv("ASSENT_NARRATE"); told != nullptr && std::strtoull(told, nullptr, 10) == seed) {
      world_.narrate = [](const std::string& line) { fmt::print("{}\n", line); };
    }
    world_.on_reply = [this](const ClientReply& reply) { hear(reply); };
  }

  void run() {
    for (step_ = 0; step_ < swarm_.steps; ++step_) act();
    ASSERT_TRUE(world_.converge()) << "A5, A7: it does not come to rest";
    resolve();
    check();
  }
  [[nodiscard]] const World& world() const { return world_; }
  std::uint64_t committed = 0;
  std::uint64_t aborted = 0;
  std::uint64_t queries_answered = 0;
  std::uint64_t steps_done = 0;  // by retriable services

 private:
  struct Txn {
    GroupId group;
    Execute execute;
    std::uint64_t begun = 0;
    std::optional<std::uint64_t> told_committed;
    std::map<std::pair<GroupId, std::string>, std::int64_t> versions;  // that it made, where its client was told
    bool ended = false;                                                // its client has a definite answer, or gave up
  };
  struct Asked {
    TxnId txn;  // of an Execute or GetOutcome; none: a query
    GroupId shard;
    std::uint64_t step = 0;
  };
  struct Client {
    TxnId txn;
    bool waiting = false;
  };

  void act() {
    const std::uint64_t choice = rng_.below(10 + swarm_.commit_weight + swarm_.tick_weight);
    if (choice < 3) {
      client_step(clients_[rng_.below(clients_.size())]);
    } else if (choice < 10) {
      network_step();
    } else if (choice < 10 + swarm_.commit_weight) {
      world_.commit(groups[rng_.below(3)]);
    } else {
      world_.advance(10);
      for (const GroupId group : groups) world_.tick(group, rng_.chance(0.5));
      if (rng_.chance(0.02)) world_.services_ask();
    }
    if (rng_.chance(swarm_.operators)) operator_step();
    if (rng_.chance(swarm_.elect)) {
      const GroupId group = groups[rng_.below(3)];
      world_.elect(group, rng_.below(world_.pending(group) + 1), swarm_.carry && rng_.chance(0.5));
    }
    if (rng_.chance(swarm_.depose)) {
      const GroupId group = groups[rng_.below(3)];
      if (world_.deposed(group) > 0) world_.depose(group, rng_.below(world_.deposed(group)));
    }
  }

  // Of one that a service keeps failing to end, if there is one; else of any, in whatever state it is, and most of it
  // is refused.
  void operator_step() {
    if (txns_.empty()) return;
    auto one = txns_.begin();
    std::advance(one, static_cast<std::ptrdiff_t>(rng_.below(txns_.size())));
    TxnId txn = one->first;
    std::string service = fmt::format("service/{}", rng_.below(3));
    bool commit = world_.outcome(txn) == Outcome::committed;
    for (const Sight& sight : world_.coordinator().leader->driver.sights({.txn = {}, .now = ClusterMillis(0)})) {
      if (sight.failing.empty() || rng_.chance(0.2)) continue;
      txn = sight.txn;
      commit = sight.commit;
      service = fmt::format("service/{}", sight.failing.front().value - first_service.value);
    }
    const RequestId id(++requests_);
    asked_[id] = Asked{txn, {}, step_};
    client_of_[id] = nullptr;
    if (rng_.chance(0.4)) return world_.request(id, coordinator_group, Retry{txn});
    world_.request(id, coordinator_group, OverrideService{txn, service, commit, "by hand"});
  }

  void network_step() {
    if (world_.network().empty()) return;
    const std::size_t message = rng_.below(world_.network().size());
    if (rng_.chance(swarm_.drop)) return world_.drop(message);
    std::optional<std::size_t> deposed;
    const GroupId to = world_.network()[message].to;
    const std::size_t count = is_service(to) ? 0 : world_.deposed(to);
    if (count > 0 && rng_.chance(swarm_.to_deposed)) deposed = rng_.below(count);
    world_.deliver(message, rng_.chance(swarm_.keep), deposed);
  }

  void client_step(Client& client) {
    if (client.waiting) {
      if (!rng_.chance(swarm_.lose_answer)) return;
      client.waiting = false;  // its connection is gone: whatever comes is not heard
    }
    if (rng_.chance(0.2)) return ask_query();
    if (client.txn.none() || txns_.at(client.txn).ended) begin(client);
    Txn& txn = txns_.at(client.txn);
    const RequestId id(++requests_);
    asked_[id] = Asked{client.txn, {}, step_};
    client_of_[id] = &client;
    client.waiting = true;
    const bool ask = txn.begun != step_ && rng_.chance(0.3);
    if (ask) {
      world_.request(id, txn.group, GetOutcome{client.txn, rng_.chance(0.5), rng_.below(20)});
    } else {
      world_.request(id, txn.group, txn.execute);
    }
  }

  void begin(Client& client) {
    const TxnId id = TxnId::make(ClusterMillis(world_.now()), rng_.next(), rng_.next());
    client.txn = id;
    Txn& txn = txns_[id];
    txn.begun = step_;
    const auto work = [&](std::int64_t delta) {
      Work one = {add(slot(rng_.below(swarm_.slots)), 1)};
      const std::string key = fmt::format("account/{}", rng_.below(swarm_.keys));
      if (rng_.chance(0.1)) one.emplace_back(KvExpect{key, Bytes("no such value")});
      one.emplace_back(
          KvAdd{key, delta, rng_.chance(0.3) ? std::optional<std::int64_t>(-20) : std::nullopt, std::nullopt});
      one.emplace_back(add("done/" + id.to_hex(), 1));
      if (rng_.chance(0.3)) one.emplace_back(KvGet{fmt::format("account/{}", rng_.below(swarm_.keys))});
      return one;
    };
    if (rng_.chance(0.3)) {
      txn.group = rng_.chance(0.5) ? shard_1 : shard_2;
      txn.execute = single(id, txn.group, work(0));
    } else {
      txn.group = coordinator_group;
      const auto amount = static_cast<std::int64_t>(rng_.below(10));
      txn.execute = transfer(id, work(-amount), work(amount));
      txn.execute.protocol = draw_protocol();
      if (rng_.chance(swarm_.services)) add_services(txn.execute);
    }
  }

  // Beside both shards, beside none, in two phases whatever was drawn.
  void add_services(Execute& execute) {
    if (rng_.chance(0.3)) execute.branches.clear();
    execute.protocol = rng_.chance(0.5) ? Protocol::automatic : Protocol::two_phase;
    if (rng_.chance(swarm_.recorded)) execute.mode = static_cast<Mode>(rng_.between(1, 3));
    const std::uint64_t count = rng_.between(1, 3);
    const bool forward = is_saga(execute.mode) && rng_.chance(swarm_.retriable);
    const std::uint64_t pivot = forward ? rng_.below(count + 1) : count;  // the first of those that are retriable
    for (std::uint64_t i = 0; i < count; ++i) {
      const ServiceAddress at{fmt::format("service/{}", i), "127.0.0.1:1", ""};
      execute.branches.push_back(Branch{GroupId(first_service.value + i), {}, ServiceWork{at, "work", i >= pivot}});
    }
  }

  Protocol draw_protocol() {
    if (rng_.chance(swarm_.ballots)) return Protocol::three_phase;
    return rng_.chance(swarm_.paxos) ? Protocol::paxos_commit : Protocol::two_phase;
  }

  static std::string slot(std::uint64_t number) { return fmt::format("slot/{}", number); }

  // Reads every slot of one shard: how many transactions wrote each.
  void ask_query() {
    const Asked asked{{}, rng_.chance(0.5) ? shard_1 : shard_2, step_};
    Work work;
    for (std::uint64_t i = 0; i < swarm_.slots; ++i) work.emplace_back(KvGet{slot(i)});
    const RequestId id(++requests_);
    asked_[id] = asked;
    world_.request(id, asked.shard, Query{work});
  }

  void hear(const ClientReply& reply) {
    const auto found = asked_.find(reply.id);
    ASSERT_NE(found, asked_.end()) << "an answer nobody asked for, or a second one";
    const Asked asked = found->second;
    asked_.erase(found);
    if (asked.txn.none()) return hear_query(asked, reply);
    Client* client = client_of_[reply.id];
    Txn& txn = txns_.at(asked.txn);
    const bool heard = client != nullptr && client->txn == asked.txn && client->waiting;
    if (heard) client->waiting = false;
    if (!reply.answer) {
      if (reply.answer.error().code == ErrorCode::too_old) txn.ended = true;
      return;
    }
    const auto& answer = std::get<TxnAnswer>(*reply.answer);
    if (answer.state == TxnState::committed) {
      if (!txn.told_committed) txn.told_committed = step_;
      for (const BranchResult& branch : answer.results) {
        if (is_service(branch.shard)) continue;
        const Work& work = find_branch(txn.execute, branch.shard).work;
        txn.versions[{branch.shard, std::get<KvAdd>(work[0]).key}] =
            std::get<std::int64_t>(branch.result[0].rows[0][0]);
      }
    }
    const bool definite =
        answer.state == TxnState::committed || answer.state == TxnState::aborted || answer.state == TxnState::expired;
    if (heard && definite) txn.ended = true;
  }

  static const Branch& find_branch(const Execute& execute, GroupId shard) {
    return *std::find_if(execute.branches.begin(), execute.branches.end(),
                         [&](const Branch& branch) { return branch.shard == shard; });
  }

  // I1: what was told before the query came is seen; and if one transaction was told before another began, nobody sees
  // the later without the earlier. A transaction is seen when its slot's version is at least the one that it made.
  void hear_query(const Asked& asked, const ClientReply& reply) {
    if (!reply.answer) return;
    ++queries_answered;
    const auto& results = std::get<QueryAnswer>(*reply.answer).result;
    std::map<std::string, std::int64_t> read;
    for (std::uint64_t i = 0; i < swarm_.slots; ++i) {
      const auto& rows = results.at(i).rows;
      read[slot(i)] = rows.empty() ? 0 : std::stoll(std::get<SqlBlob>(rows[0][0]).bytes);
    }
    std::uint64_t last_seen_began = 0;
    std::vector<std::uint64_t> unseen_told;
    for (const auto& [id, txn] : txns_) {
      for (const auto& [place, version] : txn.versions) {
        if (place.first != asked.shard) continue;
        if (read.at(place.second) >= version) {
          last_seen_began = std::max(last_seen_began, txn.begun);
        } else {
          unseen_told.push_back(*txn.told_committed);
        }
      }
    }
    for (const std::uint64_t told : unseen_told) {
      EXPECT_GE(told, asked.step) << "a query missed what was told before it came";
      EXPECT_GE(told, last_seen_began) << "a query saw a transaction without one that was told before it began";
    }
  }

  // Every client asks until it knows.
  void resolve() {
    for (int round = 0; round < 3; ++round) {
      for (auto& [id, txn] : txns_) {
        if (world_.outcome(id) != Outcome::none) continue;
        const RequestId request(++requests_);
        asked_[request] = Asked{id, {}, step_};
        client_of_[request] = nullptr;
        world_.request(request, txn.group, GetOutcome{id, true, 50});
      }
      ASSERT_TRUE(world_.converge());
    }
  }

  void check() {
    for (const std::string& violation : world_.violations()) ADD_FAILURE() << violation;
    std::int64_t total = 0;
    for (const GroupId shard : {shard_1, shard_2}) {
      for (const auto& [key, value] : world_.shard(shard).leader->store.rows()) {
        if (key.starts_with("account/")) total += std::stoll(value);
      }
    }
    EXPECT_EQ(total, 0) << "I2: money is conserved";
    for (const auto& [id, txn] : txns_) {
      const bool committed_now = world_.outcome(id) == Outcome::committed;
      if (!swarm_.short_retention) {
        EXPECT_NE(world_.outcome(id), Outcome::none) << "who asks with seal gets to know";
      }
      for (const Branch& branch : txn.execute.branches) {
        if (branch.service) {
          const auto* held = world_.services().find(id, branch.shard);
          EXPECT_EQ(held != nullptr && held->state == ServiceModel::State::committed, committed_now) << id.to_hex();
          if (committed_now && is_retriable(branch)) ++steps_done;
          EXPECT_FALSE(!committed_now && is_retriable(branch) && held != nullptr)
              << id.to_hex() << ": a retriable step was called, and it aborted";
          const bool waits = held != nullptr && held->state == ServiceModel::State::prepared;
          EXPECT_FALSE(waits && is_recorded(txn.execute.mode)) << id.to_hex() << ": nobody told it the end";
          continue;
        }
        const auto mark = world_.shard(branch.shard).leader->store.get("done/" + id.to_hex());
        EXPECT_EQ(mark.value_or("none"), committed_now ? "1" : "none") << "A1, A8 of " << id.to_hex();
      }
      ++(committed_now ? committed : aborted);
    }
    EXPECT_TRUE(asked_.empty()) << "every request gets exactly one answer";
  }

  Rng rng_;
  Swarm swarm_;
  World world_;
  std::vector<Client> clients_;
  std::map<TxnId, Txn> txns_;
  std::map<RequestId, Asked> asked_;
  std::map<RequestId, Client*> client_of_;
  std::uint64_t requests_ = 0;
  std::uint64_t step_ = 0;
};

class RandomHistories : public ::testing::TestWithParam<std::uint64_t> {};

// One case a hundred seeds, so that a failure names its seed and the cases run side by side.
TEST_P(RandomHistories, P01_P02_P03_P04_KeepEveryInvariant) {
  std::uint64_t committed = 0;
  std::uint64_t aborted = 0;
  std::uint64_t queries = 0;
  for (std::uint64_t seed = GetParam() * 100 + 1; seed <= GetParam() * 100 + 100; ++seed) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    History history(seed);
    history.run();
    committed += history.committed;
    aborted += history.aborted;
    queries += history.queries_answered;
    if (::testing::Test::HasFailure()) return;
  }
  RecordProperty("committed", static_cast<int>(committed));
  RecordProperty("aborted", static_cast<int>(aborted));
  EXPECT_GT(committed, 300U) << "A4: a system that aborts everything keeps no promise";
  EXPECT_GT(aborted, 100U) << "a history without aborts tests little";
  EXPECT_GT(queries, 300U);
}

// The same with little but sagas, whose services fail, and with operators who look after them.
TEST_P(RandomHistories, P01_P02_P03_P04_KeepEveryInvariantOfSagas) {
  std::uint64_t by_hand = 0;
  std::uint64_t steps = 0;
  for (std::uint64_t seed = GetParam() * 50 + 1; seed <= GetParam() * 50 + 50; ++seed) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    History history(seed, true);
    history.run();
    by_hand += history.world().ended_by_hand();
    steps += history.steps_done;
    if (::testing::Test::HasFailure()) return;
  }
  EXPECT_GT(by_hand, 0U) << "operators have nothing to do";
  EXPECT_GT(steps, 10U) << "no saga goes forward";
}

// ASSENT_HUNDREDS=n runs n hundred seeds instead of ten; ASSENT_NARRATE=seed tells what happens in one.
std::uint64_t hundreds() {
  const char* asked = std::getenv("ASSENT_HUNDREDS");
  return asked == nullptr ? 10 : std::strtoull(asked, nullptr, 10);
}

INSTANTIATE_TEST_SUITE_P(Seeds, RandomHistories, ::testing::Range<std::uint64_t>(0, hundreds()));

}  // namespace
}  // namespace assent::testing
