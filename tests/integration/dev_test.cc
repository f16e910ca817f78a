// assentd dev, without a browser: a cluster by one command, broken and healed over its http port, and gone at its end.
#include <gmock/gmock.h>
#include <httplib.h>
#include <signal.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <regex>

#include "tests/integration/cluster.h"

namespace assent::testing {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

class Dev : public ::testing::Test {
 protected:
  void begin(const std::vector<std::string>& more = {}) {
    std::vector<std::string> command{program("assentd"), "dev", "--http", std::to_string(free_port())};
    command.insert(command.end(), more.begin(), more.end());
    const auto output = folder.path() / ("output" + std::to_string(++begun));
    process = std::make_unique<Process>(command, output);
    static const std::regex shown(R"(dashboard  http://127\.0\.0\.1:(\d+)/#/demo\?token=(\w+)[\s\S]*data       (\S+))");
    std::smatch found;
    std::string text;
    ASSERT_TRUE(eventually(30s, [&] {
      std::ifstream in(output);
      text.assign(std::istreambuf_iterator<char>(in), {});
      return std::regex_search(text, found, shown);
    })) << text;
    port = std::stoi(found[1]);
    token = found[2];
    directory = std::string(found[3]);
  }
  void end() {
    process->signal(SIGTERM);
    EXPECT_EQ(process->wait(30s), 0);
  }
  nlohmann::json state() {
    const auto answer = http().Get("/api/v1/dev");
    return answer ? nlohmann::json::parse(answer->body, nullptr, false) : nlohmann::json();
  }
  httplib::Client http() const {
    httplib::Client client("127.0.0.1", port);
    client.set_read_timeout(20);
    return client;
  }
  int act(const std::string& action, const std::string& node) {
    const auto answer = http().Post("/api/v1/dev/" + action, {{"Authorization", "Bearer " + token}},
                                    nlohmann::json{{"node", node}}.dump(), "application/json");
    return answer ? answer->status : 0;
  }
  // The bank has been counted since, and the sum was right each time.
  void expect_counted() {
    const auto counts = [&] { return std::stoull(state()["bank"].value("counts", "0")); };
    const auto before = counts();
    EXPECT_TRUE(eventually(60s, [&] { return counts() > before; })) << state()["bank"]["trouble"];
    const auto bank = state()["bank"];
    EXPECT_EQ(bank["sum"], bank["expected"]);
    EXPECT_EQ(bank["wrongCounts"], "0");
  }
  bool runs(std::size_t node) { return state()["nodes"][node]["running"]; }

  TestFolder folder{"dev"};
  std::unique_ptr<Process> process;
  int begun = 0;
  int port = 0;
  std::string token;
  std::filesystem::path directory;
};

TEST_F(Dev, a_cluster_is_broken_and_healed_and_its_bank_stays_whole) {
  begin();
  expect_counted();
  EXPECT_THAT(http().Get("/")->body, HasSubstr("<title>Assent</title>"));
  EXPECT_EQ(http().Post("/api/v1/dev/kill", "{\"node\":\"n1\"}", "application/json")->status, 401);
  EXPECT_EQ(act("restart", "n1"), 409) << "it runs";
  EXPECT_EQ(act("kill", "n9"), 409);
  EXPECT_EQ(act("kill", "n1"), 200);
  EXPECT_FALSE(runs(0));
  EXPECT_EQ(http().Get("/api/v1/groups")->status, 200) << "another node answers";
  expect_counted();
  EXPECT_EQ(act("restart", "n1"), 200);
  EXPECT_TRUE(runs(0));
  EXPECT_EQ(act("isolate", "n2"), 200);
  EXPECT_EQ(act("slow", "n3"), 200);
  EXPECT_EQ(state()["nodes"][1]["cut"].size(), 2U);
  EXPECT_GT(state()["nodes"][2]["syncDelayMillis"], 0);
  EXPECT_EQ(act("heal", ""), 200);
  EXPECT_EQ(state()["nodes"][1]["cut"].size(), 0U);
  expect_counted();
  end();
  EXPECT_FALSE(std::filesystem::exists(directory)) << "nothing is left behind";
}

TEST_F(Dev, a_node_cut_off_leads_no_more) {
  begin();
  expect_counted();
  const auto leader = [&]() -> std::string {
    const auto answer = http().Get("/api/v1/groups");
    const auto page = answer ? nlohmann::json::parse(answer->body, nullptr, false) : nlohmann::json();
    for (const auto& group : page.value("groups", nlohmann::json::array())) {
      if (group["group"] == "c0") return group["leader"];
    }
    return {};
  };
  ASSERT_TRUE(eventually(30s, [&] { return !leader().empty(); }));
  const std::string before = leader();
  EXPECT_EQ(act("isolate", before), 200);
  EXPECT_TRUE(eventually(60s, [&] { return !leader().empty() && leader() != before; }));
  EXPECT_EQ(act("heal", ""), 200);
  expect_counted();
  end();
}

TEST_F(Dev, a_directory_that_was_named_keeps_the_money) {
  const std::string kept = (folder.path() / "kept").string();
  begin({"--dir", kept});
  expect_counted();
  const auto committed = [&] { return std::stoull(state()["bank"].value("committed", "0")); };
  EXPECT_TRUE(eventually(30s, [&] { return committed() > 10; }));
  end();
  EXPECT_TRUE(std::filesystem::exists(kept));
  begin({"--dir", kept});
  EXPECT_EQ(directory, kept);
  expect_counted();
  end();
}

}  // namespace
}  // namespace assent::testing
