// C13, C14, C15: partitions of real processes, each node in a network namespace of its own, under a bank's load whose
// clients see every node.
//
// While the network is cut: transactions commit again within a bounded number of election time-outs, nobody reads
// anything but what was written last, and a node without a majority acknowledges nothing. After healing: the books, and
// all replicas equal.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>

#include "tests/integration/bank_under_fire.h"
#include "tests/integration/cluster.h"
#include "tests/integration/network.h"
#include "tests/integration/node_register.h"

namespace assent::testing {
namespace {

using namespace std::chrono_literals;

constexpr std::chrono::milliseconds election_timeout = 1s;  // the configuration's default
// Until a cluster serves again that was cut, or healed. An election takes one to two; the rest is for groups that must
// find a leader one after the other, and for a machine that does other things besides.
constexpr auto available_within = 20 * election_timeout;
// For a node that will not answer.
constexpr auto patience = 2 * election_timeout;
constexpr const char* key = "partitioned";

class Partitions : public ::testing::Test {
 protected:
  void SetUp() override {
    if (Network::refusal())
      GTEST_SKIP() << "the machine refuses to let this test have a network: " << *Network::refusal();
  }

  void TearDown() override {
    if (network_) network_->heal();  // whatever failed, so that the load can end
  }

  void begin(const Nodes& nodes) {
    nodes_ = nodes;
    network_ = std::make_unique<Network>(nodes);
    ClusterOptions options;
    options.hosts = network_->addresses();
    options.coordinator_nodes = options.s1_nodes = options.s2_nodes = nodes;
    cluster_ = std::make_unique<Cluster>("partitions", options);
    for (const std::string& node : nodes) cluster_->run_under(node, network_->runner_of(node));
    cluster_->start_all();
    ASSERT_TRUE(cluster_->wait_for_leaders());
    bank_ = std::make_unique<BankUnderFire>(*cluster_);
    ASSERT_TRUE(bank_->set_up());
    for (const std::string& node : nodes) {
      registers_.emplace(std::piecewise_construct, std::forward_as_tuple(node),
                         std::forward_as_tuple(cluster_->client_address(node), key));
    }
    bank_->start_load();
    ASSERT_TRUE(bank_->wait_for_commits(50));
  }

  // The nodes, beginning with the one that leads s1, the others in their order.
  Nodes leader_first() {
    Nodes nodes = nodes_;
    const auto leader = std::find(nodes.begin(), nodes.end(), cluster_->leader_of("s1"));
    EXPECT_NE(leader, nodes.end()) << "s1 has no leader";
    if (leader != nodes.end()) std::rotate(nodes.begin(), leader, nodes.end());
    return nodes;
  }

  void let_lead(const std::map<std::string, std::string>& leaders) {
    for (const auto& entry : leaders) {
      ASSERT_TRUE(eventually(available_within, [&] { return leads_or_is_asked_to(entry.second, entry.first); }))
          << entry.second << " does not come to lead " << entry.first;
    }
  }
  bool leads_or_is_asked_to(const std::string& node, const std::string& group) {
    if (cluster_->leader_of(group) == node) return true;
    static_cast<void>(bank_->client().transfer_leader(group, node));  // refused: asked again
    return false;
  }

  // Cuts, and expects service for so long: transactions commit over each of these sets of shards, and whoever answers a
  // read knows what was written last. Nodes of the minority acknowledge nothing.
  using Shards = std::vector<std::string>;
  struct Expected {
    Nodes minority = {};
    std::vector<Shards> over = {{"s1", "s2"}};
    std::chrono::milliseconds lasts = 3 * election_timeout;
  };
  void expect_service_under(const Cuts& cuts, const Expected& expected) {
    network_->cut(cuts);
    began_ = Clock::now();
    for (int round = 0; round == 0 || Clock::now() < began_ + expected.lasts; ++round) {
      const std::string written = fmt::format("{}", ++last_written_);
      for (const Shards& shards : expected.over) ASSERT_NO_FATAL_FAILURE(write(shards, written));
      if (round == 0) report("service after");
      read_everywhere(written, expected.minority);
    }
    for (const std::string& node : expected.minority) {
      EXPECT_FALSE(registers_.at(node).write("by a minority", patience)) << node << " acknowledges what it cannot know";
    }
  }

  void write(const Shards& shards, const std::string& value) {
    client::Transaction put;
    for (const std::string& shard : shards) put.on(shard, KvPut{key, value});
    const auto outcome = bank_->client().run_with_retry(
        [&](const TxnId& id) {
          put.id = id;
          return put;
        },
        {}, available_within);
    ASSERT_TRUE(outcome && outcome->committed())
        << fmt::format("nothing commits on {}", fmt::join(shards, " and ")) << ": "
        << (outcome ? outcome->note + outcome->abort.message : outcome.error().text());
  }

  // All of them at once, so that two leaders that both serve are found out.
  void read_everywhere(const std::string& written, const Nodes& minority) {
    std::map<std::string, std::future<grpc::Status>> answers;
    for (auto& [node, at_node] : registers_) answers[node] = at_node.begin_read(patience);
    for (auto& [node, answer] : answers) {
      if (!answer.get().ok()) continue;
      EXPECT_EQ(registers_.at(node).value(), written) << node << " reads what is not the last";
      EXPECT_EQ(std::count(minority.begin(), minority.end(), node), 0) << node << " serves without a majority";
    }
  }

  // s1's leader, which had a majority, was left in peace by those who did not hear it. One election may be the
  // machine's fault.
  void expect_peace_since(std::uint64_t epoch_before) { EXPECT_LE(epoch(), epoch_before + 1) << "elections in vain"; }

  std::uint64_t epoch() {
    const auto status = bank_->client().status();
    const auto* group = status ? status->group("s1") : nullptr;
    EXPECT_NE(group, nullptr);
    return group == nullptr ? 0 : group->epoch;
  }

  void heal() {
    network_->heal();
    began_ = Clock::now();
    ASSERT_NO_FATAL_FAILURE(write({"s1", "s2"}, fmt::format("{}", ++last_written_)));
    ASSERT_TRUE(bank_->wait_for_commits(50, available_within));
    report("transfers after healing, after");
    ASSERT_TRUE(cluster_->wait_for_leaders());
  }

  void judge() {
    bank_->stop_load();
    bank_->judge();
    EXPECT_TRUE(eventually(available_within, [&] {
      NodeRegister& at_leader = registers_.at(cluster_->leader_of("s1"));
      return at_leader.read(patience).ok() && at_leader.value() == fmt::format("{}", last_written_);
    })) << "the register does not have what was written last";
  }

  void report(const std::string& what) const {
    const std::chrono::duration<double> took = Clock::now() - began_;
    fmt::print("{} {:.1f} election time-outs\n", what, took / election_timeout);
  }

  using Clock = std::chrono::steady_clock;
  Nodes nodes_;
  std::unique_ptr<Network> network_;  // before the cluster, whose nodes live in it
  std::unique_ptr<Cluster> cluster_;
  std::unique_ptr<BankUnderFire> bank_;
  std::map<std::string, NodeRegister> registers_;
  int last_written_ = 0;
  Clock::time_point began_;  // the last cut, or healing
};

const Nodes three{"n1", "n2", "n3"};
const Nodes five{"n1", "n2", "n3", "n4", "n5"};

// Long enough for connections to be given up (server/peer_limits.h).
TEST_F(Partitions, C13_three_nodes_go_on_without_a_leader_that_is_cut_off) {
  ASSERT_NO_FATAL_FAILURE(begin(three));
  const Nodes at = leader_first();
  ASSERT_NO_FATAL_FAILURE(
      expect_service_under(apart({at[0]}, {at[1], at[2]}), {.minority = {at[0]}, .lasts = 6 * election_timeout}));
  ASSERT_NO_FATAL_FAILURE(heal());
  judge();
}

TEST_F(Partitions, C13_three_nodes_go_on_when_the_leader_and_another_do_not_see_each_other) {
  ASSERT_NO_FATAL_FAILURE(begin(three));
  const Nodes at = leader_first();
  ASSERT_NO_FATAL_FAILURE(let_lead({{"c0", at[0]}, {"s1", at[0]}, {"s2", at[2]}}));
  const std::uint64_t before = epoch();
  ASSERT_NO_FATAL_FAILURE(expect_service_under(apart({at[0]}, {at[1]}), {}));
  expect_peace_since(before);
  ASSERT_NO_FATAL_FAILURE(heal());
  judge();
}

// What spans both shards waits, or aborts, until their leaders see each other again; what is on one of them does not.
TEST_F(Partitions, C13_each_shard_goes_on_when_their_leaders_do_not_see_each_other) {
  ASSERT_NO_FATAL_FAILURE(begin(three));
  const Nodes at = leader_first();
  ASSERT_NO_FATAL_FAILURE(let_lead({{"c0", at[0]}, {"s1", at[0]}, {"s2", at[1]}}));
  ASSERT_NO_FATAL_FAILURE(expect_service_under(apart({at[0]}, {at[1]}), {.over = {{"s1"}, {"s2"}}}));
  ASSERT_NO_FATAL_FAILURE(heal());
  judge();
}

TEST_F(Partitions, C14_three_nodes_go_on_when_the_leader_is_not_heard_or_does_not_hear) {
  ASSERT_NO_FATAL_FAILURE(begin(three));
  for (const bool heard : {true, false}) {
    SCOPED_TRACE(heard ? "it is heard and does not hear" : "it hears and is not heard");
    const Nodes at = leader_first();
    const Nodes others{at[1], at[2]};
    ASSERT_NO_FATAL_FAILURE(
        expect_service_under(heard ? one_way(others, {at[0]}) : one_way({at[0]}, others), {.minority = {at[0]}}));
    ASSERT_NO_FATAL_FAILURE(heal());
  }
  judge();
}

TEST_F(Partitions, C13_five_nodes_go_on_without_a_leader_and_another_that_are_cut_off) {
  ASSERT_NO_FATAL_FAILURE(begin(five));
  const Nodes at = leader_first();
  const Nodes minority{at[0], at[1]};
  ASSERT_NO_FATAL_FAILURE(expect_service_under(apart(minority, {at[2], at[3], at[4]}), {.minority = minority}));
  ASSERT_NO_FATAL_FAILURE(heal());
  judge();
}

TEST_F(Partitions, C14_five_nodes_go_on_when_the_leader_and_another_are_not_heard_or_do_not_hear) {
  ASSERT_NO_FATAL_FAILURE(begin(five));
  for (const bool heard : {true, false}) {
    SCOPED_TRACE(heard ? "they are heard and do not hear" : "they hear and are not heard");
    const Nodes at = leader_first();
    const Nodes minority{at[0], at[1]};
    const Nodes others{at[2], at[3], at[4]};
    ASSERT_NO_FATAL_FAILURE(
        expect_service_under(heard ? one_way(others, minority) : one_way(minority, others), {.minority = minority}));
    ASSERT_NO_FATAL_FAILURE(heal());
  }
  judge();
}

// Three see each other; a fourth sees one of them, a fifth another one (Cloudflare, November 2020).
Cuts two_see_one_other_each(const Nodes& at) {
  return all_but(at, {{at[0], at[1]}, {at[0], at[2]}, {at[1], at[2]}, {at[3], at[1]}, {at[4], at[2]}});
}

TEST_F(Partitions, C15_a_leader_is_left_in_peace_by_two_who_see_one_other_each) {
  ASSERT_NO_FATAL_FAILURE(begin(five));
  const Nodes at = leader_first();
  ASSERT_NO_FATAL_FAILURE(let_lead({{"c0", at[0]}, {"s1", at[0]}, {"s2", at[0]}}));
  const std::uint64_t before = epoch();
  ASSERT_NO_FATAL_FAILURE(expect_service_under(two_see_one_other_each(at), {}));
  expect_peace_since(before);
  ASSERT_NO_FATAL_FAILURE(heal());
  judge();
}

TEST_F(Partitions, C15_a_leader_that_sees_one_other_is_replaced_by_one_who_sees_a_majority) {
  ASSERT_NO_FATAL_FAILURE(begin(five));
  Nodes at = leader_first();
  std::swap(at[0], at[3]);
  ASSERT_NO_FATAL_FAILURE(expect_service_under(two_see_one_other_each(at), {.minority = {at[3]}}));
  ASSERT_NO_FATAL_FAILURE(heal());
  judge();
}

TEST_F(Partitions, C15_a_leader_in_a_ring_goes_on_with_its_neighbours) {
  ASSERT_NO_FATAL_FAILURE(begin(five));
  const Nodes at = leader_first();
  ASSERT_NO_FATAL_FAILURE(let_lead({{"c0", at[0]}, {"s1", at[0]}, {"s2", at[1]}}));
  const std::uint64_t before = epoch();
  ASSERT_NO_FATAL_FAILURE(expect_service_under(
      all_but(at, {{at[0], at[1]}, {at[1], at[2]}, {at[2], at[3]}, {at[3], at[4]}, {at[4], at[0]}}), {}));
  expect_peace_since(before);
  ASSERT_NO_FATAL_FAILURE(heal());
  judge();
}

}  // namespace
}  // namespace assent::testing
