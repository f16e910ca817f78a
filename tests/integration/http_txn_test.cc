// Transactions of programs without gRPC: begun, run and asked about over http at any node, with a participant that is
// called back over http.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <httplib.h>

#include <fstream>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <set>
#include <thread>

#include "tests/integration/cluster.h"

namespace assent::testing {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;
using ::testing::HasSubstr;

// Takes part by HTTP call-back: says what the test wants, and remembers what it was asked.
class Ledger {
 public:
  Ledger() {
    server_.Post("/ledger/.*", [this](const httplib::Request& request, httplib::Response& response) {
      const auto body = json::parse(request.body);
      const std::scoped_lock lock(mutex_);
      const std::string verb = request.path.substr(8);
      ++calls_[verb + " " + body["txn_id"].get<std::string>()];
      payload_ = body.value("payload", payload_);
      traces_.insert(request.get_header_value("traceparent") + " " + request.get_header_value("tracestate"));
      const auto status = statuses_.find(verb);
      response.status = status == statuses_.end() || status->second.empty() ? 200 : status->second.back();
      if (response.status != 200) statuses_[verb].pop_back();
      if (response.status == 409) response.set_content(R"({"message":"too poor for that"})", "application/json");
    });
    port_ = server_.bind_to_any_port("127.0.0.1");
    thread_ = std::thread([this] { server_.listen_after_bind(); });
    while (!server_.is_running()) std::this_thread::yield();
  }
  ~Ledger() {
    server_.stop();
    thread_.join();
  }
  [[nodiscard]] std::string target() const { return "http://127.0.0.1:" + std::to_string(port_) + "/ledger"; }
  // The next answers to it, the last first.
  void answer(const std::string& verb, std::vector<int> statuses) {
    const std::scoped_lock lock(mutex_);
    statuses_[verb] = std::move(statuses);
  }
  [[nodiscard]] int calls(const std::string& verb, const std::string& txn) {
    const std::scoped_lock lock(mutex_);
    return calls_[verb + " " + txn];
  }
  // Both headers of each call, without repeats.
  [[nodiscard]] std::set<std::string> traces() {
    const std::scoped_lock lock(mutex_);
    return traces_;
  }
  [[nodiscard]] std::string payload() {
    const std::scoped_lock lock(mutex_);
    return payload_;
  }

 private:
  httplib::Server server_;
  std::mutex mutex_;  // protects the four below
  std::map<std::string, std::vector<int>> statuses_;
  std::map<std::string, int> calls_;
  std::string payload_;
  std::set<std::string> traces_;
  int port_ = 0;
  std::thread thread_;
};

const std::string token = "a-token-of-the-tests";

ClusterOptions with_token(const TestFolder& folder) {
  std::ofstream(folder.path() / "tokens") << token << "\n";
  ClusterOptions options;
  options.extra_yaml = "\nauth:\n  admin_tokens_file: " + (folder.path() / "tokens").string() + "\n";
  return options;
}

class HttpTransactions : public ::testing::Test {
 protected:
  void SetUp() override {
    cluster.start_all();
    ASSERT_TRUE(cluster.wait_for_leaders());
  }
  struct Said {
    int status = 0;
    json body;
  };
  static Said read(const httplib::Result& result) {
    EXPECT_TRUE(result);
    if (!result) return {};
    return {result->status, json::parse(result->body, nullptr, false)};
  }
  static httplib::Client http(const std::string& address) {
    httplib::Client client("http://" + address);
    client.set_read_timeout(30);
    return client;
  }
  Said post(const std::string& node, const std::string& path, const std::string& body,
            const std::string& type = "application/json", const std::string& bearer = token) {
    return read(http(cluster.http_address(node)).Post(path, {{"Authorization", "Bearer " + bearer}}, body, type));
  }
  Said get(const std::string& node, const std::string& path) {
    return read(http(cluster.http_address(node)).Get(path));
  }
  // Calls to participants, over all nodes.
  double calls_counted(const std::string& method, const std::string& code) {
    const std::string name =
        "assent_participant_rpc_duration_seconds_count{method=\"" + method + "\",code=\"" + code + "\"} ";
    double sum = 0;
    for (const char* node : {"n1", "n2", "n3"}) {
      const std::string text = http(cluster.http_address(node)).Get("/metrics")->body;
      const auto at = text.find(name);
      if (at != std::string::npos) sum += std::stod(text.substr(at + name.size()));
    }
    return sum;
  }
  static std::string put(const std::string& txn, const std::string& key, const json& services = json::array()) {
    json body{{"branches",
               {{{"shard", "s1"}, {"operations", {{{"put", {{"key", key}, {"value", "MQ=="}}}}}}},
                {{"shard", "s2"}, {"operations", {{{"put", {{"key", key}, {"value", "MQ=="}}}}}}}}}};
    if (!txn.empty()) body["txn_id"] = txn;
    if (!services.empty()) body["services"] = services;
    return body.dump();
  }
  [[nodiscard]] json ledger_branch() const {
    return json::array({{{"name", "pay"}, {"target", ledger.target()}, {"payload", "dGFrZSAx"}}});  // take 1
  }

  TestFolder folder{"http-txn-tokens"};
  Cluster cluster{"http-txn", with_token(folder)};
  Ledger ledger;
};

TEST_F(HttpTransactions, run_at_any_node_and_their_outcome_is_told_by_any) {
  int number = 0;
  for (const std::string node : {"n1", "n2", "n3"}) {
    const std::string id = post(node, "/api/v1/transactions/begin", "{}").body.value("txn_id", "");
    ASSERT_EQ(id.size(), 32U);
    const Said done = post(node, "/api/v1/transactions", put(id, "k" + std::to_string(++number)));
    EXPECT_EQ(done.status, 200) << done.body;
    EXPECT_EQ(done.body.value("state", ""), "COMMITTED") << done.body;
    EXPECT_EQ(done.body.value("txn_id", ""), id);
    EXPECT_EQ(post(node, "/api/v1/transactions", put(id, "k" + std::to_string(number))).body.value("state", ""),
              "COMMITTED")
        << "once more, with its id";
    for (const std::string other : {"n1", "n2", "n3"}) {
      const Said told = get(other, "/api/v1/transactions/" + id + "?wait_millis=5000");
      EXPECT_EQ(told.body.value("state", ""), "COMMITTED") << other << told.body;
    }
  }
  const Said without = post("n1", "/api/v1/transactions", put("", "k"));
  EXPECT_EQ(without.body.value("state", ""), "COMMITTED") << without.body;
  EXPECT_EQ(without.body.value("txn_id", "").size(), 32U) << "it was given one";
}

TEST_F(HttpTransactions, what_is_sealed_never_commits) {
  const std::string id = post("n1", "/api/v1/transactions/begin", "{}").body.value("txn_id", "");
  const Said sealed = post("n2", "/api/v1/transactions/" + id + "/seal", "{}");
  EXPECT_EQ(sealed.body.value("state", ""), "ABORTED") << sealed.body;
  const Said done = post("n3", "/api/v1/transactions", put(id, "k"));
  EXPECT_EQ(done.status, 200) << "an abort is an answer";
  EXPECT_EQ(done.body.value("state", ""), "ABORTED") << done.body;
}

TEST_F(HttpTransactions, a_participant_is_called_back) {
  const std::string id = post("n1", "/api/v1/transactions/begin", "{}").body.value("txn_id", "");
  ledger.answer("prepare", {425});
  ledger.answer("commit", {500});
  const Said done = post("n1", "/api/v1/transactions", put(id, "k", ledger_branch()));
  EXPECT_EQ(done.body.value("state", ""), "COMMITTED") << done.body;
  EXPECT_GE(ledger.calls("prepare", id), 2) << "still running, and asked again";
  EXPECT_EQ(ledger.payload(), "take 1");
  EXPECT_TRUE(eventually(20s, [&] { return ledger.calls("commit", id) >= 2; })) << "again after an error";
  EXPECT_EQ(ledger.calls("abort", id), 0);
  EXPECT_TRUE(eventually(20s, [&] { return calls_counted("Commit", "OK") == 1; }));
  EXPECT_EQ(calls_counted("Prepare", "OK"), 1);
  EXPECT_GE(calls_counted("Prepare", "FailedPrecondition"), 1);
  EXPECT_EQ(calls_counted("Commit", "Unavailable"), 1);
}

TEST_F(HttpTransactions, what_is_outstanding_is_sent_again_when_an_operator_asks) {
  const std::string id = post("n1", "/api/v1/transactions/begin", "{}").body.value("txn_id", "");
  const std::string retry = "/api/v1/transactions/" + id + "/retry";
  EXPECT_EQ(post("n2", retry, "{}").status, 409) << "nobody knows it";
  ledger.answer("commit", std::vector<int>(1'000, 500));
  EXPECT_EQ(post("n1", "/api/v1/transactions", put(id, "k", ledger_branch())).body.value("state", ""), "COMMITTED");
  const Said again = post("n3", retry, "{}");
  EXPECT_EQ(again.status, 200);
  EXPECT_EQ(again.body.value("state", ""), "COMMITTED") << again.body;
  ledger.answer("commit", {});
  EXPECT_TRUE(eventually(20s, [&] { return post("n1", retry, "{}").status == 409; })) << "it is over";
  EXPECT_EQ(post("n1", "/api/v1/transactions/xyz/retry", "{}").status, 400);
}

TEST_F(HttpTransactions, a_callers_trace_goes_on_to_the_participant) {
  const std::string parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  const std::string id = post("n1", "/api/v1/transactions/begin", "{}").body.value("txn_id", "");
  const auto in_trace = [&](const std::string& txn, const std::string& state) {
    const httplib::Headers headers{
        {"Authorization", "Bearer " + token}, {"traceparent", parent}, {"tracestate", state}};
    return read(http(cluster.http_address("n2"))
                    .Post("/api/v1/transactions", headers, put(txn, "k", ledger_branch()), "application/json"));
  };
  EXPECT_EQ(in_trace(id, "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE").body.value("state", ""), "COMMITTED");
  EXPECT_TRUE(eventually(20s, [&] { return ledger.calls("commit", id) >= 1; }));
  EXPECT_EQ(ledger.traces(), std::set<std::string>{parent + " rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"});
  EXPECT_EQ(get("n1", "/api/v1/txns/" + id).body.value("traceId", ""), parent.substr(3, 32));
  EXPECT_EQ(in_trace("", "a=\xFF").body.value("state", ""), "COMMITTED") << "a state that is none is left out";
}

TEST_F(HttpTransactions, a_409_is_a_no_with_its_words) {
  const std::string id = post("n1", "/api/v1/transactions/begin", "{}").body.value("txn_id", "");
  ledger.answer("prepare", {409});
  const Said done = post("n2", "/api/v1/transactions", put(id, "k", ledger_branch()));
  EXPECT_EQ(done.body.value("state", ""), "ABORTED") << done.body;
  EXPECT_THAT(done.body["abort"].value("message", ""), HasSubstr("too poor for that"));
  EXPECT_EQ(ledger.calls("commit", id), 0);
}

TEST_F(HttpTransactions, bad_input_is_answered_and_harmless) {
  EXPECT_EQ(post("n1", "/api/v1/transactions", "{\"branches\": 7}").status, 400);
  EXPECT_EQ(post("n1", "/api/v1/transactions", "take 1").status, 400);
  for (const char* const path : {"", "/begin", "/00000000000000000000000000000000/seal"}) {
    const std::string all = std::string("/api/v1/transactions") + path;
    EXPECT_EQ(post("n1", all, put("", "k"), "application/json", "some-other-token-here").status, 401) << path;
  }
  EXPECT_EQ(post("n1", "/api/v1/transactions", put("", "k"), "text/plain").status, 415);
  EXPECT_EQ(post("n1", "/api/v1/transactions", R"({"unknown_field":1})").status, 400);
  EXPECT_EQ(post("n1", "/api/v1/transactions", "{}").status, 400) << "no branch";
  EXPECT_EQ(get("n1", "/api/v1/transactions/nonsense").status, 400);
  EXPECT_EQ(get("n1", "/api/v1/transactions/0?wait_millis=x").status, 400);
  EXPECT_EQ(get("n1", "/api/v1/transactions/%FF%FE").status, 400);
  const std::string some = "/api/v1/transactions/" + std::string(32, '1');
  EXPECT_EQ(get("n1", some + "?group=%FF").body["error"].value("code", ""), "GROUP_NOT_FOUND");
  EXPECT_EQ(get("n1", some + "?group=c7").status, 404);
  // Who is called back is somebody else, and is called by a scheme that is known.
  const auto calling = [&](const std::string& target) {
    return post("n1", "/api/v1/transactions",
                put("", "k", json::array({{{"name", "pay"}, {"target", target}, {"payload", ""}}})));
  };
  for (const std::string& own :
       {cluster.http_address("n1"), cluster.client_address("n2"), cluster.peer_address("n3")}) {
    for (const std::string& target : {"http://" + own + "/x", "https://" + own + "/x", "grpcs://" + own}) {
      const Said refused = calling(target);
      EXPECT_EQ(refused.status, 400) << refused.body;
      EXPECT_THAT(refused.body["error"].value("message", ""), HasSubstr("is a node of this cluster"));
    }
  }
  const Said strange = calling("ftp://127.0.0.1:1/x");
  EXPECT_EQ(strange.body.value("state", ""), "ABORTED") << strange.body;
  EXPECT_THAT(strange.body["abort"].value("message", ""), HasSubstr("http://host:port/path"));
  EXPECT_EQ(post("n1", "/api/v1/transactions", put("", "k")).body.value("state", ""), "COMMITTED") << "all is well";
}

TEST_F(HttpTransactions, go_on_when_the_leader_dies_and_the_node_that_was_asked_does_not) {
  const std::string leader = cluster.leader_of("c0");
  const std::string asked = leader == "n1" ? "n2" : "n1";
  cluster.kill(leader);
  const Said done = post(asked, "/api/v1/transactions", put("", "k"));
  EXPECT_TRUE(done.body.value("state", "") == "COMMITTED" || done.status == 503 || done.status == 504) << done.body;
  if (done.status == 200) return;
  const std::string id = done.body.value("txn_id", "");
  ASSERT_EQ(id.size(), 32U) << "an error says about which transaction to ask";
  EXPECT_TRUE(eventually(30s, [&] {
    const std::string state = post(asked, "/api/v1/transactions/" + id + "/seal", "{}").body.value("state", "");
    return state == "COMMITTED" || state == "ABORTED";
  }));
}

}  // namespace
}  // namespace assent::testing
