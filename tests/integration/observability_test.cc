// What real nodes tell of themselves and of transactions: over http and by assentctl.
#include <httplib.h>

#include <fstream>
#include <regex>
#include <set>
#include <sstream>
#include <thread>

#include "tests/integration/operator_fixture.h"

namespace assent::testing {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

class Observability : public OperatorTest {
 protected:
  // Every node can ask every other: its connections stand.
  void SetUp() override {
    OperatorTest::SetUp();
    for (const char* node : {"n1", "n2", "n3", "m1"}) {
      ASSERT_TRUE(eventually(30s, [&] { return document(node, "/api/v1/events")["unreachable"].empty(); })) << node;
    }
  }
  static httplib::Client http(const std::string& address) {
    httplib::Client client("http://" + address);
    client.set_read_timeout(10);
    return client;
  }
  httplib::Result get(std::string_view node, const std::string& path) {
    return http(cluster.http_address(node)).Get(path);
  }
  nlohmann::json document(std::string_view node, const std::string& path, int status = 200) {
    const auto answer = get(node, path);
    EXPECT_TRUE(answer) << path;
    if (!answer) return {};
    EXPECT_EQ(answer->status, status) << answer->body;
    auto parsed = nlohmann::json::parse(answer->body, nullptr, false);
    EXPECT_FALSE(parsed.is_discarded()) << answer->body;
    return parsed;
  }
  std::string commit(const std::string& protocol) {
    const std::string id = client::new_txn_id().to_hex();
    EXPECT_EQ(ctl(with(transfer(id), {"--protocol", protocol})).status, 0);
    return id;
  }
  // As the list of what is not over shows it at a node; empty: it is not there.
  std::string listed_open(std::string_view node, const std::string& id) {
    const auto page = document(node,
                               "/api/v1/txns?limit=100&state=active,preparing,prepared,precommitted,"
                               "committing,aborting");
    for (const auto& one : page["txns"]) {
      if (one["txnId"] == id) return one["state"];
    }
    return {};
  }
  void lead(const std::string& group, const std::string& node) {
    ASSERT_TRUE(eventually(30s,
                           [&] {
                             if (cluster.leader_of(group) == node) return true;
                             static_cast<void>(ctl({"group", "transfer-leader", group, "--to", node}));
                             return false;
                           }))
        << node << " does not come to lead " << group;
  }
  // The sum over all nodes of a counter's value with these labels.
  double sum_of(const std::string& metric) {
    double sum = 0;
    for (const char* node : {"n1", "n2", "n3", "m1"}) {
      std::istringstream lines(get(node, "/metrics")->body);
      for (std::string line; std::getline(lines, line);) {
        if (line.starts_with(metric + " ")) sum += std::stod(line.substr(metric.size() + 1));
      }
    }
    return sum;
  }
};

TEST_F(Observability, a_node_says_how_it_is_and_counts_what_it_does) {
  EXPECT_EQ(get("n1", "/livez")->status, 200);
  EXPECT_THAT(get("n1", "/")->body, HasSubstr("<title>Assent</title>"));
  EXPECT_TRUE(eventually(20s, [&] { return get("n1", "/readyz")->status == 200; }));
  EXPECT_THAT(get("n1", "/readyz?verbose")->body, HasSubstr("[+] group s1: leader "));
  const std::string committed = R"(assent_txn_finished_total{protocol="two-phase",outcome="committed"})";
  EXPECT_EQ(sum_of(committed), 0);
  const std::string execute = R"(grpc_type="unary",grpc_service="assent.v1.Coordinator",grpc_method="Execute")";
  const double called = sum_of("grpc_server_handled_total{" + execute + R"(,grpc_code="OK"})");
  commit("two-phase");
  commit("two-phase");
  EXPECT_EQ(sum_of(committed), 2);
  EXPECT_EQ(sum_of(R"(assent_txn_duration_seconds_count{protocol="two-phase",outcome="committed"})"), 2);
  EXPECT_EQ(sum_of(R"(assent_txn_phase_duration_seconds_count{protocol="two-phase",phase="decide"})"), 2);
  EXPECT_EQ(sum_of(R"(assent_raft_is_leader{group="s1"})"), 1);
  EXPECT_GT(sum_of("assent_wal_fsync_duration_seconds_count"), 0);
  EXPECT_EQ(sum_of("grpc_server_handled_total{" + execute + R"(,grpc_code="OK"})"), called + 2);
  EXPECT_EQ(sum_of("grpc_server_handling_seconds_count{" + execute + "}"),
            sum_of("grpc_server_started_total{" + execute + "}"));
}

TEST_F(Observability, readyz_says_no_while_a_group_has_no_leader) {
  cluster.kill("m1");
  cluster.kill("n2");
  cluster.kill("n3");
  EXPECT_TRUE(eventually(20s, [&] { return get("n1", "/readyz")->status == 503; }));
  EXPECT_THAT(get("n1", "/readyz")->body, HasSubstr("no leader is known here"));
  EXPECT_EQ(get("n1", "/livez")->status, 200);
}

// Every name in the alerts, the dashboard and the docs is one that a running cluster exposes.
TEST_F(Observability, every_metric_that_is_named_somewhere_is_exposed) {
  commit("two-phase");
  std::set<std::string> exposed;
  for (const char* node : {"n1", "n2", "n3", "m1"}) {
    std::istringstream lines(get(node, "/metrics")->body);
    for (std::string line; std::getline(lines, line);) {
      if (line.empty() || line[0] == '#') continue;
      exposed.insert(line.substr(0, line.find_first_of("{ ")));
    }
  }
  const std::regex name(R"(\b(assent|process|grpc_server)_[a-z_]+[a-z]\b)");
  const std::filesystem::path root(ASSENT_SOURCE_DIR);
  std::size_t names = 0;
  for (const char* file : {"contrib/prometheus/alerts.yaml", "contrib/grafana/assent.json", "docs/OBSERVABILITY.md"}) {
    std::ifstream in(root / file);
    ASSERT_TRUE(in) << file;
    const std::string text((std::istreambuf_iterator<char>(in)), {});
    for (std::sregex_iterator one(text.begin(), text.end(), name), end; one != end; ++one) {
      const std::string word = one->str();
      ++names;
      const bool histogram = exposed.contains(word + "_count");
      EXPECT_TRUE(exposed.contains(word) || histogram) << file << " names " << word << ", which nobody exposes";
    }
  }
  EXPECT_GT(names, 40U);
}

TEST_F(Observability, any_node_tells_where_a_transactions_time_went) {
  const std::string id = commit("two-phase");
  for (const char* node : {"n1", "n2", "n3", "m1"}) {
    const auto trace = document(node, "/api/v1/txns/" + id);
    EXPECT_EQ(trace["summary"]["state"].get<std::string>().substr(0, 6), "COMMIT") << node;
    EXPECT_EQ(trace["unreachable"].size(), 0U);
    std::set<std::string> names;
    for (const auto& span : trace["spans"])
      names.insert(span["name"].get<std::string>() + " " + span["group"].get<std::string>());
    for (const char* name :
         {"assent.transaction c0", "assent.decide c0", "assent.v1.Participant/Prepare s1",
          "assent.v1.Participant/Prepare s2", "raft.propose s1", "raft.propose s2", "raft.propose c0"}) {
      EXPECT_TRUE(names.contains(name)) << node << " lacks " << name;
    }
    std::uint64_t sum = 0;
    for (const auto& phase : trace["phases"]) {
      if (phase["phase"] != "commit") sum += std::stoull(phase["durationMicros"].get<std::string>());
    }
    EXPECT_EQ(std::to_string(sum), trace["totalMicros"].get<std::string>()) << "the phases are the whole";
  }
  // Nothing happens to it any more.
  const std::string path = "/api/v1/txns/" + id;
  EXPECT_TRUE(eventually(20s, [&] {
    const std::string tag = get("n2", path)->get_header_value("ETag");
    return http(cluster.http_address("n2")).Get(path, {{"If-None-Match", tag}})->status == 304;
  }));
  const auto otlp = document("n2", "/api/v1/txns/" + id + "/trace");
  const auto shown = ctl({"txn", "trace", id});
  EXPECT_EQ(shown.status, 0);
  EXPECT_THAT(shown.output, HasSubstr("commit point"));
  EXPECT_THAT(shown.output, HasSubstr("raft s2#"));
  EXPECT_EQ(json({"txn", "trace", id}, 0)["summary"]["txnId"], id);
  EXPECT_EQ(otlp["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["traceId"], id);
}

TEST_F(Observability, the_list_has_what_was_run_and_pages) {
  std::set<std::string> ids;
  for (int i = 0; i < 5; ++i) ids.insert(commit(i % 2 == 0 ? "two-phase" : "paxos-commit"));
  std::set<std::string> listed;
  std::string cursor;
  do {
    const auto page = document("n1", "/api/v1/txns?limit=2&state=committed,committing&cursor=" + cursor);
    EXPECT_LE(page["txns"].size(), 2U);
    for (const auto& one : page["txns"]) EXPECT_TRUE(listed.insert(one["txnId"]).second) << "twice on the pages";
    cursor = page["nextCursor"];
  } while (!cursor.empty() && !::testing::Test::HasFailure());
  for (const std::string& id : ids) EXPECT_TRUE(listed.contains(id)) << id;
  EXPECT_EQ(document("n1", "/api/v1/txns?state=aborted")["txns"].size(), 0U);
  const auto timed = document("n1", "/api/v1/txns?limit=1&phases=true&state=committed,committing")["txns"][0];
  std::uint64_t sum = 0;
  for (const auto& phase : timed["phases"]) {
    if (phase["phase"] != "commit") sum += std::stoull(phase["durationMicros"].get<std::string>());
  }
  EXPECT_EQ(std::to_string(sum), timed["durationMicros"].get<std::string>()) << "the phases are the whole";
  EXPECT_EQ(json({"txn", "list", "--limit", "3"}, 0)["txns"].size(), 3U);
  EXPECT_THAT(ctl({"txn", "watch", "--for", "1ms"}).output, HasSubstr(*ids.begin()));
}

TEST_F(Observability, nodes_know_how_far_they_are_from_each_other) {
  const auto measured = [&](const std::string& from, const std::string& to) {
    const auto page = document("n1", "/api/v1/cluster");
    for (const auto& node : page["nodes"]) {
      if (node["node"] != from) continue;
      for (const auto& peer : node["peers"]) {
        if (peer["node"] == to) return peer["up"] == true && peer["roundTripMicros"] != "0";
      }
    }
    return false;
  };
  EXPECT_TRUE(eventually(20s, [&] { return measured("n1", "n2") && measured("n2", "n1") && measured("m1", "n3"); }));
  cluster.kill("m1");
  EXPECT_TRUE(eventually(20s, [&] { return !measured("n1", "m1") && measured("n1", "n3"); }));
}

TEST_F(Observability, how_long_things_took_is_counted_over_all_nodes) {
  std::set<std::string> ids;
  for (int i = 0; i < 5; ++i) ids.insert(commit("two-phase"));
  const auto page = document("n3", "/api/v1/latency?window=10m&columns=10");
  EXPECT_GE(std::stoi(page["transactions"].get<std::string>()), 5);
  const auto sum = [](const nlohmann::json& strip) {
    std::uint64_t all = 0;
    for (const auto& count : strip["counts"]) all += count.get<std::uint64_t>();
    return all;
  };
  ASSERT_FALSE(page["strips"].empty());
  EXPECT_EQ(page["strips"][0]["name"], "total");
  EXPECT_EQ(std::to_string(sum(page["strips"][0])), page["transactions"]);
  const std::string from = page["fromUnixMicros"];
  const auto listed = document("n2", "/api/v1/txns?limit=500&by=decide&over=1&started_from=" + from)["txns"];
  std::set<std::string> found;
  for (const auto& txn : listed) found.insert(txn["txnId"].get<std::string>());
  EXPECT_TRUE(std::includes(found.begin(), found.end(), ids.begin(), ids.end()));
  EXPECT_TRUE(document("n2", "/api/v1/txns?started_to=" + from)["txns"].empty());
}

TEST_F(Observability, cluster_groups_and_events_name_a_node_that_is_away) {
  EXPECT_EQ(document("n1", "/api/v1/cluster")["nodes"].size(), 4U);
  cluster.kill("m1");
  const auto groups = document("n1", "/api/v1/groups");
  ASSERT_EQ(groups["unreachable"].size(), 1U);
  EXPECT_EQ(groups["groups"].size(), 3U);
  EXPECT_EQ(groups["unreachable"][0]["node"], "m1");
  for (const auto& group : groups["groups"]) {
    EXPECT_EQ(group["health"], group["group"] == "s2" ? "no leader" : "ok") << group["group"];
  }
  bool leads = false;
  const auto events = document("n1", "/api/v1/events");
  for (const auto& event : events["events"]) leads = leads || event["kind"] == "leader";
  EXPECT_TRUE(leads);
}

TEST_F(Observability, what_waits_is_explained) {
  cluster.kill("m1");
  const std::string id = client::new_txn_id().to_hex();
  EXPECT_EQ(ctl(with({"--timeout", "3s"}, with(transfer(id), {"--protocol", "paxos-commit"}))).status, 7);
  const auto explained = document("n1", "/api/v1/txns/" + id + "/explain");
  EXPECT_GT(explained["sights"].size(), 0U);
  EXPECT_THAT(explained["why"].get<std::string>(), HasSubstr("s2 was asked"));
  EXPECT_EQ(explained["unreachable"][0]["node"], "m1");
}

// The node that led its coordinator saw no end of it, and leads a shard of it on: its own record stays open.
TEST_F(Observability, what_another_leader_ended_is_not_listed_as_open) {
  ASSERT_NO_FATAL_FAILURE(lead("c0", "n1"));
  ASSERT_NO_FATAL_FAILURE(lead("s1", "n1"));
  cluster.kill("m1");
  const std::string id = client::new_txn_id().to_hex();
  static_cast<void>(ctl(with({"--timeout", "3s"}, with(transfer(id), {"--protocol", "two-phase"}))));
  EXPECT_NE(listed_open("n2", id), "") << "s2 has not said that it knows";
  ASSERT_NO_FATAL_FAILURE(lead("c0", "n2"));
  EXPECT_EQ(cluster.leader_of("s1"), "n1");
  cluster.start("m1");
  for (const char* node : {"n1", "n2", "n3"}) {
    EXPECT_TRUE(eventually(30s, [&] { return listed_open(node, id).empty(); })) << node << listed_open(node, id);
  }
}

// What is recorded lives in memory; what is in doubt does not.
TEST_F(Observability, what_is_in_doubt_is_listed_after_all_nodes_were_started_anew) {
  cluster.kill("m1");
  const std::string id = client::new_txn_id().to_hex();
  EXPECT_EQ(ctl(with({"--timeout", "3s"}, with(transfer(id), {"--protocol", "paxos-commit"}))).status, 7);
  cluster.kill({"n1", "n2", "n3"});
  for (const char* node : {"n1", "n2", "n3"}) cluster.start(node);
  const auto answers = [&] { return get("n2", "/livez") && listed_open("n2", id) == "PREPARED"; };
  EXPECT_TRUE(eventually(30s, answers));
  cluster.start("m1");
  EXPECT_TRUE(eventually(30s, [&] { return listed_open("n2", id).empty(); })) << listed_open("n2", id);
}

// s1 is in doubt, for s2 cannot be asked; an older transaction wants the same row.
TEST_F(Observability, who_waits_for_whose_locks_is_shown) {
  EXPECT_TRUE(document("n1", "/api/v1/locks")["sights"].empty());
  cluster.kill("m1");
  const std::string older = client::new_txn_id().to_hex();
  std::string holder = older;
  while (holder <= older) holder = client::new_txn_id().to_hex();  // two of one millisecond come in any order
  EXPECT_EQ(ctl(with({"--timeout", "3s"}, with(transfer(holder), {"--protocol", "paxos-commit"}))).status, 7);
  std::thread waiting([&] { static_cast<void>(ctl(with({"--timeout", "10s"}, transfer(older)))); });
  const auto shown = [&] {
    bool holds = false;
    bool waits = false;
    const auto page = document("n2", "/api/v1/locks");
    for (const auto& one : page["sights"]) {
      const auto& sight = one["sight"];
      const auto key = nlohmann::json::array({"accounts('a')"});
      holds = holds || (sight["txnId"] == holder && sight["blocks"] == nlohmann::json::array({older}) &&
                        sight["contestedKeys"] == key);
      waits = waits || (sight["txnId"] == older && sight["waitsFor"] == nlohmann::json::array({holder}) &&
                        sight["wantedKeys"] == key);
    }
    return holds && waits;
  };
  EXPECT_TRUE(eventually(20s, shown)) << document("n2", "/api/v1/locks");
  EXPECT_EQ(document("n2", "/api/v1/locks")["unreachable"][0]["node"], "m1");
  EXPECT_THAT(ctl({"group", "locks"}).output, HasSubstr("accounts('a')"));
  waiting.join();
}

TEST_F(Observability, bad_questions_have_clear_errors) {
  const std::vector<std::pair<std::string, int>> questions{
      {"/api/v1/txns/nonsense", 400},         {"/api/v1/txns/" + std::string(32, 'f'), 404},
      {"/api/v1/txns?limit=0", 400},          {"/api/v1/txns?limit=x", 400},
      {"/api/v1/txns?state=SLEEPING", 400},   {"/api/v1/txns?cursor=1", 400},
      {"/api/v1/txns?slower_than=soon", 400}, {"/api/v1/txns?colour=red", 400},
      {"/api/v1/txns?phases=1", 400},         {"/api/v2/txns", 404},
      {"/api/v1/txns?by=sleep", 400},         {"/api/v1/txns?over=-1", 400},
      {"/api/v1/txns?started_from=1e9", 400}, {"/api/v1/txns?upto=99999999999999999999", 400},
      {"/api/v1/latency?window=0ms", 400},    {"/api/v1/latency?window=25h", 400},
      {"/api/v1/latency?columns=241", 400},   {"/api/v1/latency?from=x", 400}};
  for (const auto& [path, status] : questions) {
    EXPECT_FALSE(document("n1", path, status)["error"]["message"].get<std::string>().empty()) << path;
  }
}

TEST_F(Observability, a_stream_sends_what_happens) {
  std::string heard;
  auto client = http(cluster.http_address("n1"));
  const std::string id = commit("two-phase");
  static_cast<void>(client.Get("/api/v1/stream", [&](const char* data, std::size_t size) {
    heard.append(data, size);
    return std::count(heard.begin(), heard.end(), '\n') < 8;  // two parts
  }));
  EXPECT_THAT(heard, HasSubstr("event: overview\ndata: {"));
  const auto first =
      nlohmann::json::parse(heard.substr(heard.find('{'), heard.find("\n\n") - heard.find('{')), nullptr, false);
  ASSERT_FALSE(first.is_discarded()) << heard;
  EXPECT_EQ(first["node"], "n1");
  EXPECT_FALSE(first["events"].empty());
}

}  // namespace
}  // namespace assent::testing
