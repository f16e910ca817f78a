// C08, R7: a leader that slept past its election time-out and wakes up to a read. It may refuse it or ask the others;
// it must not answer from what it knew before it slept.
#include <fmt/format.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <future>

#include "assent/v1/assent.grpc.pb.h"
#include "tests/integration/cluster.h"

namespace assent::testing {
namespace {

using namespace std::chrono_literals;

// A linearizable read of one node, whoever leads.
struct DirectRead {
  explicit DirectRead(const std::string& address)
      : stub(v1::Shard::NewStub(grpc::CreateChannel(address, grpc::InsecureChannelCredentials()))) {
    request.set_shard("s1");
    request.add_operations()->mutable_get()->set_key("counter");
  }
  // The request is handed to the connection before this returns.
  std::future<grpc::Status> begin() {
    context = std::make_unique<grpc::ClientContext>();
    context->set_deadline(std::chrono::system_clock::now() + 20s);
    response.Clear();
    auto told = std::make_shared<std::promise<grpc::Status>>();
    stub->async()->Query(context.get(), &request, &response, [told](const grpc::Status& s) { told->set_value(s); });
    return told->get_future();
  }
  grpc::Status run() { return begin().get(); }
  [[nodiscard]] std::string value() const {
    if (response.results_size() != 1 || response.results(0).rows_size() != 1) return "";
    return response.results(0).rows(0).values(0).blob();
  }

  std::unique_ptr<v1::Shard::Stub> stub;
  std::unique_ptr<grpc::ClientContext> context;
  v1::QueryRequest request;
  v1::QueryResponse response;
};

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
    DirectRead read(cluster.client_address(old_leader));
    ASSERT_TRUE(eventually(20s, [&] { return read.run().ok(); })) << "its connection stands, and it answers";
    ASSERT_EQ(read.value(), std::to_string(round - 1));
    cluster.pause(old_leader);
    ASSERT_TRUE(write(round)) << "the others elect a leader and go on";
    auto answer = read.begin();  // among the first things that it sees when it wakes
    cluster.resume(old_leader);
    const grpc::Status status = answer.get();
    if (status.ok()) {
      EXPECT_EQ(read.value(), std::to_string(round)) << "a stale read";
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
