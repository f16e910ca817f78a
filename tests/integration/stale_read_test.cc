// C08, R7: a leader that slept past its election time-out and wakes up to a read. It may refuse it or ask the others;
// it must not answer from what it knew before it slept.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <vector>

#include "tests/integration/cluster.h"
#include "tests/integration/node_register.h"

namespace assent::testing {
namespace {

using namespace std::chrono_literals;

bool write(client::Client& client, int value) {
  client::Transaction put;
  put.on("s1", KvPut{"counter", std::to_string(value)});
  const auto outcome = client.execute(put, 20s);
  return outcome && outcome->committed();
}

TEST(StaleRead, C08_a_leader_that_wakes_up_never_answers_from_before_its_sleep) {
  Cluster cluster("stale-read");
  cluster.start_all();
  ASSERT_TRUE(cluster.wait_for_leaders());
  client::Client client = cluster.connect();
  ASSERT_TRUE(write(client, 0));
  int refused = 0;
  constexpr int rounds = 5;
  for (int round = 1; round <= rounds; ++round) {
    SCOPED_TRACE(fmt::format("round {}", round));
    const std::string old_leader = cluster.leader_of("s1");
    ASSERT_FALSE(old_leader.empty());
    NodeRegister at_old_leader(cluster.client_address(old_leader), "counter");
    ASSERT_TRUE(eventually(20s, [&] { return at_old_leader.read().ok(); })) << "its connection stands, and it answers";
    ASSERT_EQ(at_old_leader.value(), std::to_string(round - 1));
    cluster.pause(old_leader);
    ASSERT_TRUE(write(client, round)) << "the others elect a leader and go on";
    auto answer = at_old_leader.begin_read();  // among the first things that it sees when it wakes
    cluster.resume(old_leader);
    const grpc::Status status = answer.get();
    if (status.ok()) {
      EXPECT_EQ(at_old_leader.value(), std::to_string(round)) << "a stale read";
    } else {
      ++refused;
      EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE) << status.error_message();
    }
    ASSERT_TRUE(cluster.wait_for_leaders());
  }
  RecordProperty("refused", refused);
}

// Any replica answers, says how old it is at most, and what it says is so: whoever wrote longer ago is in it.
TEST(StaleRead, R_followers_answer_within_their_bound_and_refuse_when_they_cannot_know) {
  ClusterOptions made;
  made.extra_yaml = "raft: { stale_read_wait: 300ms }\n";
  Cluster cluster("stale-follower", made);
  cluster.start_all();
  ASSERT_TRUE(cluster.wait_for_leaders());
  client::Client client = cluster.connect();
  ASSERT_TRUE(write(client, 0));
  std::set<std::string> answered_by;
  std::vector<std::chrono::steady_clock::time_point> told{std::chrono::steady_clock::now()};  // by value
  for (int value = 1; value <= 60; ++value) {
    ASSERT_TRUE(write(client, value));
    told.push_back(std::chrono::steady_clock::now());
    const auto begun = std::chrono::steady_clock::now();
    const auto read = client.query_stale("s1", {KvGet{"counter"}}, 100ms, 20s);
    ASSERT_TRUE(read) << read.error().text();
    ASSERT_TRUE(read->age_max);
    EXPECT_LE(*read->age_max, 100ms);
    answered_by.insert(read->answered_by);
    const auto& found = std::get<SqlBlob>(read->results.front().rows.front().front());
    const auto shows = std::ranges::upper_bound(told, begun - *read->age_max) - told.begin() - 1;
    EXPECT_GE(std::stoi(found.bytes), shows) << "that write was told longer ago than the answer says to be old";
  }
  EXPECT_EQ(answered_by.size(), 3U) << "replicas take turns";

  // A follower that is alone knows nothing of the present.
  const std::string leader = cluster.leader_of("s1");
  std::string follower;
  for (const std::string_view node : Cluster::nodes) {
    if (node != leader) follower = node;
  }
  for (const std::string_view node : Cluster::nodes) {
    if (node != follower) cluster.pause(node);
  }
  client::Options options;
  options.endpoints = {cluster.client_address(follower)};
  client::Client lonely = cluster.connect(options);
  EXPECT_TRUE(eventually(20s, [&] {
    const auto read = lonely.query_stale("s1", {KvGet{"counter"}}, 200ms, 2s);
    return !read && read.error().reason == "TOO_STALE";
  })) << "it must refuse";
  for (const std::string_view node : Cluster::nodes) cluster.resume(node);
  ASSERT_TRUE(cluster.wait_for_leaders());
  const auto read = client.query_stale("s1", {KvGet{"counter"}}, 5s, 20s);
  ASSERT_TRUE(read) << read.error().text();
}

}  // namespace
}  // namespace assent::testing
