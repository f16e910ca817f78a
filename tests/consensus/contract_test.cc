// The nine laws of consensus/log_contract.h over every consensus core, by swarm simulation. A core joins by a line in
// `cores`.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/consensus/cluster.h"
#include "tests/consensus/raft_cases.h"

namespace assent::testing {
namespace {

struct Core {
  std::string name;
  LogFactory factory;
  CoreLimits limits;
};

void PrintTo(const Core& core, std::ostream* out) { *out << core.name; }

std::vector<Core> cores() {
  return {{"raft", make_raft_factory(small_raft_options()), limits_of(small_raft_options())},
          {"raft_tiny", make_raft_factory(tiny_raft_options()), limits_of(tiny_raft_options())},
          {"raft_sleeping", make_raft_factory(sleeping_raft_options()), limits_of(sleeping_raft_options())}};
}

// Also those that answer reads otherwise than the steered laws below expect.
std::vector<Core> all_cores() {
  std::vector<Core> all = cores();
  all.push_back({"raft_leasing", make_raft_factory(leasing_raft_options()), leasing_limits()});
  return all;
}

constexpr std::uint64_t seeds_a_shard = 40;
constexpr std::uint64_t faulty_ticks = 600;

class Contract : public ::testing::TestWithParam<std::tuple<Core, std::uint64_t>> {
 protected:
  [[nodiscard]] const Core& core() const { return std::get<0>(GetParam()); }
  [[nodiscard]] std::uint64_t first_seed() const { return 1 + seeds_a_shard * std::get<1>(GetParam()); }

  [[nodiscard]] Cluster make(std::uint64_t seed) const {
    Rng rng = Rng(seed).split("swarm");
    const std::size_t sizes[] = {1, 3, 3, 3, 5, 5, 7};
    const std::size_t nodes = sizes[rng.below(std::size(sizes))];
    return {core().factory, core().limits, nodes, seed, Faults::swarm(rng)};
  }
};

TEST_P(Contract, L1_to_L9_hold_while_members_change_and_disks_are_lost_M01_M02_M04_M05_M06_M07_M09) {
  std::uint64_t committed = 0;
  std::uint64_t changes = 0;
  std::uint64_t lost = 0;
  std::uint64_t installs = 0;
  for (std::uint64_t seed = first_seed(); seed < first_seed() + seeds_a_shard; ++seed) {
    Rng rng = Rng(seed).split("changes");
    Faults faults = Faults::swarm(rng);
    faults.change = 0.02 + 0.2 * rng.unit();
    faults.lose_disk = rng.below(3) == 0 ? 0 : 0.01;
    const std::size_t founders = 1 + 2 * rng.below(3);
    Cluster cluster(core().factory, core().limits, founders, seed, faults, rng.between(1, 3));
    cluster.run(faulty_ticks);
    cluster.converge();
    ASSERT_THAT(cluster.violations(), ::testing::IsEmpty()) << "seed " << seed << "\n" << cluster.report();
    committed += cluster.committed();
    changes += cluster.changes();
    lost += cluster.disks_lost();
    installs += cluster.installs();
  }
  EXPECT_GT(committed, 50 * seeds_a_shard);
  EXPECT_GT(changes, 3 * seeds_a_shard);
  EXPECT_GT(lost, seeds_a_shard / 4);
  EXPECT_GT(installs, 0U);
}

TEST_P(Contract, L1_to_L9_hold_under_swarm_faults_C03_C05_C06_C12_C16_C18_C20_C22) {
  std::uint64_t committed = 0;
  std::uint64_t installs = 0;
  std::uint64_t reads = 0;
  std::uint64_t elections = 0;
  for (std::uint64_t seed = first_seed(); seed < first_seed() + seeds_a_shard; ++seed) {
    Cluster cluster = make(seed);
    cluster.run(faulty_ticks);
    cluster.converge();
    ASSERT_THAT(cluster.violations(), ::testing::IsEmpty()) << "seed " << seed << "\n" << cluster.report();
    committed += cluster.committed();
    installs += cluster.installs();
    reads += cluster.reads_ready();
    elections += cluster.elections();
  }
  // The laws would hold of a core that does nothing.
  EXPECT_GT(committed, 50 * seeds_a_shard);
  EXPECT_GT(installs, 0U);
  EXPECT_GT(reads, seeds_a_shard);
  EXPECT_GT(elections, 2 * seeds_a_shard);
}

TEST_P(Contract, L7_equal_inputs_give_equal_outputs_and_digests) {
  for (std::uint64_t seed = first_seed(); seed < first_seed() + 5; ++seed) {
    Cluster one = make(seed);
    Cluster two = make(seed);
    one.run(faulty_ticks);
    two.run(faulty_ticks);
    EXPECT_EQ(one.trace(), two.trace()) << "seed " << seed;
    Cluster other = make(seed + 1'000'000);
    other.run(faulty_ticks);
    EXPECT_NE(one.trace(), other.trace());
  }
}

INSTANTIATE_TEST_SUITE_P(Cores, Contract,
                         ::testing::Combine(::testing::ValuesIn(all_cores()), ::testing::Range<std::uint64_t>(0, 5)),
                         [](const auto& param_info) {
                           return std::get<0>(param_info.param).name + "_" +
                                  std::to_string(std::get<1>(param_info.param));
                         });

// ---- single laws, steered ----

class Law : public ::testing::TestWithParam<Core> {
 protected:
  [[nodiscard]] Cluster make(std::size_t nodes, Faults faults = quiet()) const {
    return {GetParam().factory, GetParam().limits, nodes, 11, faults};
  }
  static Faults quiet() {
    Faults faults;
    faults.propose = faults.read = faults.heal = 0;
    return faults;
  }
  [[nodiscard]] std::uint64_t terms() const { return 60ULL * GetParam().limits.election_ticks; }
};

TEST_P(Law, L9_groups_of_every_size_elect_and_commit) {
  for (const std::size_t nodes : {1U, 2U, 3U, 4U, 5U, 7U, 9U}) {
    Cluster cluster = make(nodes);
    ASSERT_NE(cluster.await_leader(terms()), 0U) << nodes;
    cluster.converge();
    EXPECT_THAT(cluster.violations(), ::testing::IsEmpty()) << cluster.report();
  }
}

TEST_P(Law, L9_what_comes_for_a_group_at_rest_is_done_and_a_leader_that_dies_is_missed) {
  Cluster cluster = make(5);
  ASSERT_NE(cluster.await_leader(terms()), 0U);
  for (int round = 0; round < 10; ++round) {
    cluster.run(terms());
    EXPECT_EQ(cluster.asleep(), GetParam().limits.sleeps ? 5U : 0U);
    const std::uint64_t messages = cluster.messages();
    cluster.run(20);
    EXPECT_TRUE(!GetParam().limits.sleeps || cluster.messages() == messages) << "who sleeps says nothing";
    const std::uint64_t leader = cluster.leader();
    ASSERT_NE(leader, 0U);
    ASSERT_TRUE(cluster.propose(leader));
    ASSERT_TRUE(cluster.read(leader));
    cluster.run(terms());
    cluster.crash(leader);
    const std::uint64_t next = cluster.await_leader(terms());
    ASSERT_NE(next, 0U);
    EXPECT_NE(next, leader);
    cluster.restart(leader);
  }
  cluster.converge();
  EXPECT_THAT(cluster.violations(), ::testing::IsEmpty()) << cluster.report();
}

TEST_P(Law, L8_propose_refuses_what_is_too_large_and_is_busy_without_a_majority) {
  Cluster cluster = make(3);
  const std::uint64_t leader = cluster.await_leader(terms());
  ASSERT_NE(leader, 0U);
  ReplicatedLog& log = cluster.host(leader).log();
  const auto large = log.propose(Bytes(GetParam().limits.command_bytes_max + 1, 'x'), ClusterMillis(1));
  ASSERT_FALSE(large);
  EXPECT_EQ(large.error().code, ErrorCode::refused);
  for (std::uint64_t other = 1; other <= 3; ++other) {
    if (other != leader) cluster.crash(other);
  }
  std::size_t taken = 0;
  const Bytes command(GetParam().limits.command_bytes_max, 'x');
  Result<Position> last = log.propose(command, ClusterMillis(1));
  for (; last && taken < 10'000; ++taken) last = log.propose(command, ClusterMillis(1));
  ASSERT_FALSE(last);
  EXPECT_EQ(last.error().code, ErrorCode::busy);
  cluster.pump(leader);
  EXPECT_THAT(cluster.violations(), ::testing::IsEmpty()) << cluster.report();
}

TEST_P(Law, followers_name_the_leader_and_refuse_proposals_and_reads) {
  Cluster cluster = make(3);
  const std::uint64_t leader = cluster.await_leader(terms());
  ASSERT_NE(leader, 0U);
  cluster.run(5);
  for (std::uint64_t other = 1; other <= 3; ++other) {
    if (other == leader) continue;
    const auto proposed = cluster.host(other).log().propose("x", ClusterMillis(1));
    ASSERT_FALSE(proposed);
    EXPECT_EQ(proposed.error().code, ErrorCode::not_leader);
    EXPECT_EQ(proposed.error().leader_hint, NodeId(leader));
    const auto read = cluster.host(other).log().request_read(ReadId(1));
    ASSERT_FALSE(read);
    EXPECT_EQ(read.error().leader_hint, NodeId(leader));
  }
}

TEST_P(Law, L2_a_clock_that_goes_back_does_not_take_stamps_back) {
  Cluster cluster = make(1);
  ASSERT_EQ(cluster.await_leader(terms()), 1U);
  ReplicatedLog& log = cluster.host(1).log();
  for (const std::uint64_t clock : {100U, 50U, 0U, 101U}) ASSERT_TRUE(log.propose("x", ClusterMillis(clock)));
  const Output out = log.take_output();
  std::vector<std::uint64_t> stamps;
  for (const EntryPtr& entry : out.append) stamps.push_back(entry->stamp.value);
  EXPECT_THAT(stamps, ::testing::ElementsAre(100, 100, 100, 101));
}

TEST_P(Law, C13_a_partitioned_leader_commits_nothing_and_loses_its_reads) {
  Cluster cluster = make(3);
  const std::uint64_t old = cluster.await_leader(terms());
  ASSERT_NE(old, 0U);
  ASSERT_TRUE(cluster.propose(old));
  cluster.run(10);
  const std::uint64_t before = cluster.committed();
  cluster.isolate(old);
  ASSERT_TRUE(cluster.propose(old));
  ASSERT_TRUE(cluster.read(old));
  cluster.pump(old);
  EXPECT_EQ(cluster.handed(old), before);
  cluster.run(terms());
  const std::uint64_t fresh = cluster.leader();
  ASSERT_NE(fresh, old);
  EXPECT_EQ(cluster.reads_ready(), 0U);
  EXPECT_EQ(cluster.reads_lost(), 1U);
  ASSERT_TRUE(cluster.propose(fresh));
  cluster.converge();
  EXPECT_THAT(cluster.violations(), ::testing::IsEmpty()) << cluster.report();
}

TEST_P(Law, C08_a_leader_that_was_paused_serves_no_stale_read) {
  Cluster cluster = make(3);
  const std::uint64_t old = cluster.await_leader(terms());
  ASSERT_NE(old, 0U);
  cluster.pause(old, true);
  cluster.run(terms());
  const std::uint64_t fresh = cluster.leader();
  ASSERT_NE(fresh, 0U);
  ASSERT_NE(fresh, old);
  ASSERT_TRUE(cluster.propose(fresh));
  cluster.run(10);
  cluster.pause(old, false);
  ASSERT_TRUE(cluster.read(old));  // it still believes
  cluster.run(terms());
  EXPECT_EQ(cluster.reads_ready(), 0U);
  EXPECT_EQ(cluster.reads_lost(), 1U);
  EXPECT_THAT(cluster.violations(), ::testing::IsEmpty()) << cluster.report();
}

TEST_P(Law, C14_asymmetric_partitions_do_not_stop_the_group) {
  for (const bool mute : {false, true}) {
    Cluster cluster = make(3);
    const std::uint64_t old = cluster.await_leader(terms());
    ASSERT_NE(old, 0U);
    for (std::uint64_t other = 1; other <= 3; ++other) {
      if (other == old) continue;
      mute ? cluster.cut(old, other) : cluster.cut(other, old);
    }
    cluster.run(terms());
    const std::uint64_t fresh = cluster.leader();
    EXPECT_NE(fresh, old);
    ASSERT_NE(fresh, 0U);
    ASSERT_TRUE(cluster.propose(fresh));
    cluster.run(20);
    EXPECT_EQ(cluster.handed(fresh), cluster.host(fresh).log().status().last.value);
    cluster.converge();
    EXPECT_THAT(cluster.violations(), ::testing::IsEmpty()) << cluster.report();
  }
}

TEST_P(Law, C15_a_partial_partition_leaves_a_stable_leader) {
  Cluster cluster = make(5);
  ASSERT_NE(cluster.await_leader(terms()), 0U);
  // n4 sees only n2, n5 sees only n3 (Cloudflare 2020).
  for (const auto& [a, b] : std::vector<std::pair<int, int>>{{4, 1}, {4, 3}, {4, 5}, {5, 1}, {5, 2}}) {
    cluster.cut(static_cast<std::uint64_t>(a), static_cast<std::uint64_t>(b));
    cluster.cut(static_cast<std::uint64_t>(b), static_cast<std::uint64_t>(a));
  }
  cluster.run(terms());
  const std::uint64_t leader = cluster.leader();
  ASSERT_NE(leader, 0U);
  const std::uint64_t epoch = cluster.newest_epoch();
  cluster.run(terms());
  EXPECT_EQ(cluster.newest_epoch(), epoch) << "elections go on";
  ASSERT_TRUE(cluster.propose(leader));
  cluster.run(20);
  EXPECT_EQ(cluster.handed(leader), cluster.host(leader).log().status().last.value);
  cluster.converge();
  EXPECT_THAT(cluster.violations(), ::testing::IsEmpty()) << cluster.report();
}

TEST_P(Law, C16_every_node_restarts_at_once_and_nothing_acknowledged_is_lost) {
  Cluster cluster = make(5);
  for (int round = 0; round < 5; ++round) {
    const std::uint64_t leader = cluster.await_leader(terms());
    ASSERT_NE(leader, 0U);
    for (int i = 0; i < 20; ++i) ASSERT_TRUE(cluster.propose(leader));
    cluster.run(3);
    for (std::uint64_t node = 1; node <= 5; ++node) cluster.crash(node);
    for (std::uint64_t node = 1; node <= 5; ++node) cluster.restart(node);
  }
  cluster.converge();
  EXPECT_THAT(cluster.violations(), ::testing::IsEmpty()) << cluster.report();
}

TEST_P(Law, C17_a_node_that_returns_disturbs_nobody) {
  Cluster cluster = make(3);
  const std::uint64_t leader = cluster.await_leader(terms());
  ASSERT_NE(leader, 0U);
  const std::uint64_t gone = leader == 1 ? 2 : 1;
  cluster.isolate(gone);
  cluster.run(terms());
  const std::uint64_t epoch = cluster.newest_epoch();
  cluster.heal();
  cluster.run(terms());
  EXPECT_EQ(cluster.newest_epoch(), epoch);
  EXPECT_EQ(cluster.leader(), leader);
}

TEST_P(Law, C18_everything_ever_said_is_said_again) {
  Faults faults;
  faults.crash = 0.003;
  faults.snapshot_every = 5;
  Cluster cluster = make(3, faults);
  for (int i = 0; i < 5; ++i) {
    cluster.run(200);
    cluster.replay_everything_sent();
  }
  cluster.converge();
  EXPECT_GT(cluster.committed(), 20U);
  EXPECT_THAT(cluster.violations(), ::testing::IsEmpty()) << cluster.report();
}

TEST_P(Law, C19_leadership_moves_to_the_named_peer_without_waiting_for_a_timeout) {
  Cluster cluster = make(3);
  const std::uint64_t old = cluster.await_leader(terms());
  ASSERT_NE(old, 0U);
  cluster.run(20);
  const std::uint64_t heir = old % 3 + 1;
  cluster.host(old).log().transfer_leadership(NodeId(heir));
  const auto meanwhile = cluster.host(old).log().propose("x", ClusterMillis(1));
  ASSERT_FALSE(meanwhile);
  EXPECT_EQ(meanwhile.error().code, ErrorCode::busy);
  cluster.run(GetParam().limits.election_ticks);
  EXPECT_EQ(cluster.leader(), heir);
  cluster.converge();
  EXPECT_THAT(cluster.violations(), ::testing::IsEmpty()) << cluster.report();
}

TEST_P(Law, C19_a_transfer_to_a_dead_peer_is_given_up) {
  Cluster cluster = make(3);
  const std::uint64_t leader = cluster.await_leader(terms());
  ASSERT_NE(leader, 0U);
  const std::uint64_t dead = leader % 3 + 1;
  cluster.crash(dead);
  cluster.host(leader).log().transfer_leadership(NodeId(dead));
  cluster.run(2 * GetParam().limits.election_ticks);
  EXPECT_EQ(cluster.leader(), leader);
  EXPECT_TRUE(cluster.propose(leader));
  cluster.converge();
  EXPECT_THAT(cluster.violations(), ::testing::IsEmpty()) << cluster.report();
}

TEST_P(Law, C20_a_follower_far_behind_catches_up_through_a_snapshot) {
  Cluster cluster = make(3);
  const std::uint64_t leader = cluster.await_leader(terms());
  ASSERT_NE(leader, 0U);
  const std::uint64_t behind = leader % 3 + 1;
  cluster.crash(behind);
  // More than any tail that is kept.
  for (int taken = 0; taken < 6'000;) {
    if (cluster.propose(leader)) {
      ++taken;
      continue;
    }
    cluster.step();
    ASSERT_EQ(cluster.leader(), leader);
    for (std::uint64_t node = 1; node <= 3; ++node) {
      if (node != behind && cluster.now() % 50 == 0) cluster.host(node).take_snapshot(Index(cluster.handed(node)));
    }
  }
  cluster.run(20);
  ASSERT_TRUE(cluster.host(leader).take_snapshot(Index(cluster.handed(leader))));
  cluster.restart(behind);
  cluster.converge();
  EXPECT_GE(cluster.installs(), 1U);
  EXPECT_THAT(cluster.violations(), ::testing::IsEmpty()) << cluster.report();
}

TEST_P(Law, C25_whoever_lost_entries_is_whole_again_though_nobody_asks_for_anything) {
  Cluster cluster = make(3);
  ASSERT_NE(cluster.await_leader(terms()), 0U);
  for (std::uint64_t round = 0; round < 12; ++round) {
    const std::uint64_t leader = cluster.leader();
    ASSERT_NE(leader, 0U);
    for (int i = 0; i < 3; ++i) ASSERT_TRUE(cluster.propose(leader));
    cluster.run(terms());
    // A follower, or the leader itself: then another one is elected with its help.
    const std::uint64_t hurt = (leader + round) % 3 + 1;
    const std::uint64_t had = cluster.host(hurt).log().status().last.value;
    const std::uint64_t whole = round % 2 == 0 ? had - 1 - round % 5 : 0;
    ASSERT_TRUE(round < 6 || cluster.host(leader).take_snapshot(Index(cluster.handed(leader))));
    cluster.damage(hurt, Index(whole));
    cluster.run(2 * terms());
    const LogStatus now = cluster.host(hurt).log().status();
    EXPECT_GE(now.last.value, had) << "round " << round;
    EXPECT_EQ(now.committed, now.last);
    EXPECT_EQ(cluster.asleep(), GetParam().limits.sleeps ? 3U : 0U);
  }
  cluster.converge();
  EXPECT_THAT(cluster.violations(), ::testing::IsEmpty()) << cluster.report();
}

TEST_P(Law, C22_a_slow_disk_anywhere_leaves_the_group_its_leader_and_its_pace) {
  for (const bool leaders_disk : {true, false}) {
    Cluster cluster = make(3);
    const std::uint64_t leader = cluster.await_leader(terms());
    ASSERT_NE(leader, 0U);
    cluster.run(10);
    const std::uint64_t slow = leaders_disk ? leader : leader % 3 + 1;
    cluster.stop_disk(slow, true);
    const std::uint64_t before = cluster.committed();
    for (int i = 0; i < 10; ++i) {
      ASSERT_TRUE(cluster.propose(leader));
      cluster.run(5);
    }
    EXPECT_EQ(cluster.committed(), before + 10);
    cluster.run(terms());
    EXPECT_EQ(cluster.leader(), leader) << "heartbeats do not wait for the disk";
    cluster.converge();
    EXPECT_THAT(cluster.violations(), ::testing::IsEmpty()) << cluster.report();
  }
}

TEST_P(Law, C05_C06_without_a_majority_of_disks_nothing_is_committed) {
  Cluster cluster = make(3);
  const std::uint64_t leader = cluster.await_leader(terms());
  ASSERT_NE(leader, 0U);
  cluster.run(10);
  cluster.stop_disk(leader, true);
  cluster.stop_disk(leader % 3 + 1, true);
  const std::uint64_t before = cluster.committed();
  ASSERT_TRUE(cluster.propose(leader));
  cluster.run(terms());
  EXPECT_EQ(cluster.committed(), before);
  for (std::uint64_t node = 1; node <= 3; ++node) cluster.crash(node);
  cluster.converge();
  EXPECT_THAT(cluster.violations(), ::testing::IsEmpty()) << cluster.report();
}

TEST_P(Law, followers_learn_the_commit_index_soon_and_an_idle_group_is_quiet) {
  Cluster cluster = make(3);
  const std::uint64_t leader = cluster.await_leader(terms());
  ASSERT_NE(leader, 0U);
  cluster.run(20);
  ASSERT_TRUE(cluster.propose(leader));
  cluster.run(8);
  for (std::uint64_t node = 1; node <= 3; ++node) EXPECT_EQ(cluster.handed(node), cluster.committed());
  const std::uint64_t before = cluster.messages();
  cluster.run(100);
  EXPECT_LE(cluster.messages() - before, 2U * 2 * 51)
      << "a heartbeat and its answer for two followers every other tick";
}

TEST_P(Law, many_reads_share_one_round) {
  Faults faults = quiet();
  Cluster cluster = make(3, faults);
  const std::uint64_t leader = cluster.await_leader(terms());
  ASSERT_NE(leader, 0U);
  cluster.run(20);
  const std::uint64_t before = cluster.messages();
  for (int i = 0; i < 4; ++i) ASSERT_TRUE(cluster.read(leader));
  cluster.pump(leader);
  EXPECT_EQ(cluster.messages() - before, 2U);
  cluster.run(4);
  EXPECT_EQ(cluster.reads_ready(), 4U);
}

INSTANTIATE_TEST_SUITE_P(Cores, Law, ::testing::ValuesIn(cores()),
                         [](const auto& param_info) { return param_info.param.name; });

}  // namespace
}  // namespace assent::testing
