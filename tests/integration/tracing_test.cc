// Spans of real nodes at a receiver, traces that callers begin, and what is done by http with a token.
#include <grpcpp/grpcpp.h>
#include <httplib.h>

#include <fstream>
#include <thread>

#include "assent/v1/assent.grpc.pb.h"
#include "tests/integration/operator_fixture.h"
#include "tests/server/otlp_receiver.h"
#include "txn_proto/api_error.h"

namespace assent::testing {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

const std::string token = "a-token-of-the-tests";

class Traced : public OperatorTest {
 protected:
  Traced() : OperatorTest(yaml()) {}
  static std::string yaml() {
    receiver = std::make_unique<OtlpReceiver>();
    tokens = std::make_unique<TestFolder>("tokens");
    std::ofstream(tokens->path() / "tokens") << token << "\n";
    return "txn:\n  timeout: 60s\n  prepare_timeout: 30s\ntrace:\n  exporter: otlp\n  sample: 1\n  endpoint: "
           "http://127.0.0.1:" +
           std::to_string(receiver->http_port()) +
           "\nauth:\n  admin_tokens_file: " + (tokens->path() / "tokens").string() + "\n";
  }
  ~Traced() override {
    cluster.kill_all();
    receiver.reset();
    tokens.reset();
  }
  nlohmann::json document(const std::string& path, const std::string& node = "n1") {
    httplib::Client http("http://" + cluster.http_address(node));
    http.set_read_timeout(10);
    const auto answer = http.Get(path);
    EXPECT_TRUE(answer && answer->status == 200) << path;
    return answer ? nlohmann::json::parse(answer->body, nullptr, false) : nlohmann::json();
  }
  httplib::Result post(const std::string& path, const std::string& body, const std::string& bearer) {
    httplib::Client http("http://" + cluster.http_address("n1"));
    http.set_read_timeout(20);
    return http.Post(path, {{"Authorization", "Bearer " + bearer}}, body, "application/json");
  }
  grpc::Status execute_at(const std::string& node, const std::string& id, v1::Protocol protocol,
                          const std::string& traceparent) {
    const auto stub =
        v1::Coordinator::NewStub(grpc::CreateChannel(cluster.client_address(node), grpc::InsecureChannelCredentials()));
    v1::ExecuteRequest request;
    request.set_txn_id(id);
    request.set_protocol(protocol);
    for (const char* shard : {"s1", "s2"}) {
      v1::Branch& branch = *request.add_branches();
      branch.set_shard(shard);
      branch.add_operations()->mutable_add()->set_key("traced");
      branch.mutable_operations(0)->mutable_add()->set_delta(1);
    }
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + 40s);
    context.AddMetadata("traceparent", traceparent);
    v1::Transaction answer;
    const grpc::Status status = stub->Execute(&context, request, &answer);
    EXPECT_TRUE(!status.ok() || answer.state() == v1::COMMITTED);
    return status;
  }
  // As a program does that is traced itself.
  std::string execute_in_trace(const std::string& traceparent) {
    const std::string id = client::new_txn_id().to_hex();
    const auto until = std::chrono::steady_clock::now() + 30s;
    while (std::chrono::steady_clock::now() < until) {
      for (const char* node : {"n1", "n2", "n3"}) {
        if (execute_at(node, id, v1::TWO_PHASE, traceparent).ok()) return id;
      }
    }
    ADD_FAILURE() << "no node took it";
    return id;
  }

  static inline std::unique_ptr<OtlpReceiver> receiver;
  static inline std::unique_ptr<TestFolder> tokens;
};

TEST_F(Traced, what_is_exported_is_what_the_node_shows) {
  std::map<std::string, std::size_t> expected;
  std::set<std::string> ids;
  for (const char* protocol : {"two-phase", "paxos-commit", "three-phase"}) {
    const std::string id = client::new_txn_id().to_hex();
    ASSERT_EQ(ctl(with(transfer(id), {"--protocol", protocol})).status, 0);
    ids.insert(id);
  }
  const auto all_here = [&] {
    const auto seen = receiver->seen();
    return std::includes(seen.traces.begin(), seen.traces.end(), ids.begin(), ids.end());
  };
  ASSERT_TRUE(eventually(30s, all_here));
  const auto seen = receiver->seen();
  EXPECT_EQ(seen.violations, std::vector<std::string>());
  for (const std::string& id : ids) {
    const auto trace = document("/api/v1/txns/" + id);
    std::uint64_t sum = 0;
    for (const auto& phase : trace["phases"]) {
      if (phase["phase"] != "commit") sum += std::stoull(phase["durationMicros"].get<std::string>());
    }
    const std::uint64_t total = std::stoull(trace["totalMicros"].get<std::string>());
    EXPECT_LE(std::max(sum, total) - std::min(sum, total), total / 100) << "phases add up to the whole within 1 %";
    std::multiset<std::string> shown;
    for (const auto& span : trace["spans"]) shown.insert(span["spanId"].get<std::string>());
    EXPECT_EQ(seen.ids_of(id), shown);
  }
}

TEST_F(Traced, a_callers_trace_is_continued) {
  const std::string trace = "0af7651916cd43dd8448eb211c80319c";
  const std::string id = execute_in_trace("00-" + trace + "-b7ad6b7169203331-01");
  const auto shown = document("/api/v1/txns/" + id);
  EXPECT_EQ(shown["traceId"], trace);
  EXPECT_EQ(shown["parentSpanId"], "b7ad6b7169203331");
  ASSERT_TRUE(eventually(30s, [&] { return receiver->seen().traces.contains(trace); }));
  const std::string other = execute_in_trace("00-nonsense");
  EXPECT_EQ(document("/api/v1/txns/" + other)["traceId"], other) << "a header that is none is ignored";
}

// s2 is away, so the transaction stands with a yes of s1 when the node dies that leads both c0 and s1. No other node
// has recorded anything of it: what they know of its trace is in their logs.
class RecoveredTrace : public Traced, public ::testing::WithParamInterface<v1::Protocol> {
 protected:
  void lead_all_at(const std::string& node) {
    const auto moved = [&] {
      for (const std::string group : {"c0", "s1"}) {
        if (cluster.leader_of(group) == node) continue;
        static_cast<void>(post("/api/v1/groups/" + group + "/transfer-leader", R"({"to":")" + node + "\"}", token));
        return false;
      }
      return true;
    };
    ASSERT_TRUE(eventually(30s, moved));
  }
};

TEST_P(RecoveredTrace, is_the_callers_at_another_node) {
  lead_all_at("n2");
  cluster.kill("m1");
  const std::string trace = "0af7651916cd43dd8448eb211c80319c";
  const std::string id = client::new_txn_id().to_hex();
  grpc::Status status;
  std::thread caller([&] { status = execute_at("n2", id, GetParam(), "00-" + trace + "-b7ad6b7169203331-01"); });
  EXPECT_TRUE(eventually(20s, [&] {
    httplib::Client http("http://" + cluster.http_address("n1"));
    const auto explained = http.Get("/api/v1/txns/" + id + "/explain");  // 404 until a leader sees it
    return explained && explained->body.find("PREPARED") != std::string::npos;
  }));
  cluster.kill("n2");
  caller.join();
  EXPECT_FALSE(status.ok());
  cluster.start("m1");
  ASSERT_TRUE(eventually(60s, [&] { return receiver->seen().traces.contains(trace); }));
  EXPECT_FALSE(receiver->seen().traces.contains(id));
  EXPECT_EQ(receiver->seen().violations, std::vector<std::string>());
  for (const char* node : {"n1", "n3", "m1"}) {
    const auto shown = document("/api/v1/txns/" + id, node);
    EXPECT_EQ(shown["traceId"], trace);
    EXPECT_EQ(shown["parentSpanId"], "b7ad6b7169203331");
    EXPECT_EQ(shown["spans"][0]["name"], "assent.recover");
    EXPECT_EQ(shown["summary"]["recovered"], true);
    EXPECT_GT(shown["spans"].size(), 1U) << shown.dump(1);
  }
}

INSTANTIATE_TEST_SUITE_P(EachProtocol, RecoveredTrace,
                         ::testing::Values(v1::TWO_PHASE, v1::PAXOS_COMMIT, v1::THREE_PHASE), [](const auto& given) {
                           std::string name = v1::Protocol_Name(given.param);
                           std::erase(name, '_');
                           return name;
                         });

TEST_F(Traced, actions_need_a_token_and_refuse_with_their_reason) {
  const std::string id = client::new_txn_id().to_hex();
  ASSERT_EQ(ctl(with(transfer(id), {"--protocol", "two-phase"})).status, 0);
  const std::string path = "/api/v1/txns/" + id + "/resolve";
  EXPECT_EQ(post(path, "{}", "some-other-token-here")->status, 401);
  EXPECT_EQ(post("/api/v1/txns/nonsense/resolve", "{}", token)->status, 400);
  EXPECT_EQ(post("/api/v1/txns/" + std::string(32, 'f') + "/resolve", "{}", token)->status, 404);
  EXPECT_EQ(post("/api/v1/dev/faults", "{}", token)->status, 404) << "dev.faults is off";
  httplib::Result answer = post(path, "{}", token);
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, 409) << answer->body;
  EXPECT_THAT(answer->body, HasSubstr("committed; nothing is left to resolve"));
  answer = post("/api/v1/txns/" + client::new_txn_id().to_hex() + "/seal", "{}", token);
  EXPECT_EQ(answer->status, 200) << answer->body;
  EXPECT_THAT(answer->body, HasSubstr("ABORTED"));
  answer = post("/api/v1/groups/c0/transfer-leader", R"({"to":"m1"})", token);
  EXPECT_EQ(answer->status, 409) << answer->body;
  EXPECT_THAT(answer->body, HasSubstr("does not vote"));
  EXPECT_EQ(post("/api/v1/groups/c7/transfer-leader", R"({"to":"n1"})", token)->status, 404);
  const std::string leader = cluster.leader_of("c0");
  const std::string other = leader == "n1" ? "n2" : "n1";
  EXPECT_EQ(post("/api/v1/groups/c0/transfer-leader", "{\"to\":\"" + other + "\"}", token)->status, 202);
  EXPECT_TRUE(eventually(20s, [&] { return cluster.leader_of("c0") == other; }));
}

}  // namespace
}  // namespace assent::testing
