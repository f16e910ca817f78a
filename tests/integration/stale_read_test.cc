// C08, R7: a leader that slept past its election time-out and wakes up to a read. It may refuse it or ask the others;
// it must not answer from what it knew before it slept.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/integration/cluster.h"
#include "tests/integration/node_register.h"

namespace assent::testing {
namespace {

using namespace std::chrono_literals;

TEST(StaleRead, C08_a_leader_that_wakes_up_never_answers_from_before_its_sleep) {
  Cluster cluster("stale-read");
  cluster.start_all();
  ASSERT_TRUE(cluster.wait_for_leaders());
  client::Client client = cluster.connect();
  const auto write = [&](int value) {
    client::Transaction put;
    put.on("s1", KvPut{"counter", std::to_string(value)});
    const auto outcome = client.execute(put, 20s);
    return outcome && outcome->committed();
  };
  ASSERT_TRUE(write(0));
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
    ASSERT_TRUE(write(round)) << "the others elect a leader and go on";
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

}  // namespace
}  // namespace assent::testing
