#include "server/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

namespace assent {
namespace {

using std::chrono::milliseconds;
using ::testing::HasSubstr;

constexpr const char* good_file = R"(node:
  name: n2
  data_dir: /tmp/x
cluster:
  name: bank
  peers: { n1: "10.0.0.1:7421", n2: "10.0.0.2:7421", n3: "10.0.0.3:7421" }
  clients: { n1: "10.0.0.1:7420", n2: "10.0.0.2:7420", n3: "10.0.0.3:7420" }
  groups:
    - { id: c0, role: coordinator, members: [n1, n2, n3] }
    - { id: s1, role: shard, members: [n1, n2, n3] }
txn: { timeout: 3s, history: { keep: 48h } }
raft: { heartbeat: 50ms }
storage: { fsync: off }
)";

ConfigSources sources_of(std::string file) {
  return {.flags = {}, .environment = {}, .file = std::move(file), .file_name = "n.yaml", .host_name = "Box7"};
}

LoadedConfig load_good(const ConfigSources& sources) {
  auto loaded = load_config(sources);
  if (!loaded) {
    for (const ConfigProblem& problem : loaded.error()) ADD_FAILURE() << problem.text();
    return {};
  }
  return *loaded;
}

std::string value_of(const LoadedConfig& loaded, const std::string& key) {
  for (const auto& line : loaded.lines) {
    if (line.key == key) return line.value + " from " + line.origin;
  }
  return "no such key";
}

TEST(Config, ReadsAFile) {
  const LoadedConfig loaded = load_good(sources_of(good_file));
  const ServerConfig& config = loaded.config;
  EXPECT_EQ(config.node_name, "n2");
  EXPECT_EQ(config.cluster_name, "bank");
  EXPECT_EQ(config.peers.size(), 3U);
  EXPECT_EQ(config.clients.at("n3").text(), "10.0.0.3:7420");
  EXPECT_EQ(config.groups.size(), 2U);
  EXPECT_EQ(config.groups[0], (GroupSetting{"c0", "coordinator", {"n1", "n2", "n3"}}));
  EXPECT_EQ(config.txn_timeout, milliseconds(3000));
  EXPECT_EQ(config.txn_protocol, "auto");
  EXPECT_EQ(config.history_keep, std::chrono::hours(48));
  EXPECT_EQ(config.heartbeat, milliseconds(50));
  EXPECT_EQ(config.election_timeout, milliseconds(1000));
  EXPECT_FALSE(config.fsync);
}

TEST(Config, TakesTheAddressesToListenAtFromTheClusterWhenNoneAreGiven) {
  const LoadedConfig loaded = load_good(sources_of(good_file));
  EXPECT_EQ(value_of(loaded, "listen.client"), "10.0.0.2:7420 from cluster.clients");
  EXPECT_EQ(value_of(loaded, "listen.peer"), "10.0.0.2:7421 from cluster.peers");
}

TEST(Config, StartsWithNothingAtAll) {
  const LoadedConfig loaded =
      load_good({.flags = {}, .environment = {}, .file = {}, .file_name = {}, .host_name = "Box7"});
  EXPECT_EQ(loaded.config.node_name, "box7");
  EXPECT_EQ(loaded.config.peers.at("box7").text(), "127.0.0.1:7421");
  EXPECT_EQ(loaded.config.clients.at("box7").text(), "127.0.0.1:7420");
  ASSERT_EQ(loaded.config.groups.size(), 3U);
  EXPECT_EQ(loaded.config.groups[0].members, std::vector<std::string>{"box7"});
  EXPECT_EQ(value_of(loaded, "raft.heartbeat"), "100ms from default");
}

// Flag before environment before file before default, each shown with its origin.
TEST(Config, FollowsTheOrderOfSources) {
  ConfigSources sources = sources_of("node: { name: n1 }\nraft:\n  heartbeat: 40ms\n");
  EXPECT_EQ(value_of(load_good(sources), "raft.heartbeat"), "40ms from n.yaml:3");
  sources.environment["ASSENT_RAFT_HEARTBEAT"] = "30ms";
  EXPECT_EQ(value_of(load_good(sources), "raft.heartbeat"), "30ms from env ASSENT_RAFT_HEARTBEAT");
  EXPECT_EQ(load_good(sources).config.heartbeat, milliseconds(30));
  sources.flags["raft.heartbeat"] = "20ms";
  EXPECT_EQ(value_of(load_good(sources), "raft.heartbeat"), "20ms from flag");
  EXPECT_EQ(load_good(sources).config.heartbeat, milliseconds(20));
}

TEST(Config, TakesTablesFromFlagsAndEnvironment) {
  ConfigSources sources = sources_of(good_file);
  sources.environment["ASSENT_CLUSTER_PEERS"] = "n1=a:1, n2=b:2";
  sources.flags["cluster.groups"] = "c0:coordinator:n1,n2;s1:shard:n2";
  sources.flags["cluster.clients"] = "n2=b:3";
  const ServerConfig config = load_good(sources).config;
  EXPECT_EQ(config.peers.size(), 2U);
  EXPECT_EQ(config.groups[1], (GroupSetting{"s1", "shard", {"n2"}}));
  EXPECT_EQ(config.listen_client.text(), "b:3");
}

TEST(Config, WarnsOfWhatIsAllowedAndUnwise) {
  ConfigSources sources = sources_of(good_file);
  sources.flags["cluster.groups"] = "c0:coordinator:n1,n2;s1:shard:n1,n2,n3";
  sources.flags["cluster.clients"] = "n1=a:1,n2=b:1";
  const LoadedConfig loaded = load_good(sources);
  ASSERT_EQ(loaded.warnings.size(), 3U);
  EXPECT_THAT(loaded.warnings[0], HasSubstr("storage.fsync is off"));
  EXPECT_THAT(loaded.warnings[1], HasSubstr("group c0 has 2 members"));
  EXPECT_THAT(loaded.warnings[2], HasSubstr("n3"));
}

TEST(Config, PrintedValuesCanBeReadBack) {
  const LoadedConfig loaded = load_good(sources_of(good_file));
  ConfigSources again{.flags = {}, .environment = {}, .file = {}, .file_name = {}, .host_name = "other"};
  for (const auto& line : loaded.lines) again.flags[line.key] = line.value;
  const LoadedConfig reread = load_good(again);
  ASSERT_EQ(reread.lines.size(), loaded.lines.size());
  for (std::size_t i = 0; i < loaded.lines.size(); ++i)
    EXPECT_EQ(reread.lines[i].value, loaded.lines[i].value) << loaded.lines[i].key;
}

TEST(Config, DescribesEveryKey) {
  for (const ConfigKeyInfo& key : config_keys()) {
    EXPECT_FALSE(key.help.empty()) << key.key;
    EXPECT_TRUE(key.flag.starts_with("--")) << key.key;
    EXPECT_EQ(key.flag.find('_'), std::string::npos) << key.key;
    EXPECT_TRUE(key.environment.starts_with("ASSENT_")) << key.key;
  }
}

TEST(Config, ReportsAllProblemsAtOnce) {
  const auto loaded = load_config(sources_of("node: { name: n1 }\nrafft: 1\nlog: { level: loud, colour: red }\n"));
  ASSERT_FALSE(loaded);
  EXPECT_EQ(loaded.error().size(), 2U);  // what cannot be read comes before what is read and wrong
}

struct BadFile {
  const char* name;
  const char* file;
  const char* problem;  // where and what
};

class BadConfig : public ::testing::TestWithParam<BadFile> {};

TEST_P(BadConfig, IsRefusedWithAClearProblem) {
  const auto loaded = load_config(sources_of(GetParam().file));
  ASSERT_FALSE(loaded) << "accepted";
  std::vector<std::string> texts;
  for (const ConfigProblem& problem : loaded.error()) texts.push_back(problem.text());
  EXPECT_THAT(texts, ::testing::Contains(HasSubstr(GetParam().problem)));
}

INSTANTIATE_TEST_SUITE_P(
    Table, BadConfig,
    ::testing::Values(
        BadFile{"malformed", "node:\n  name: [n1\nlisten: {}\n", "n.yaml:3: this is not YAML"},
        BadFile{"tab", "node:\n\tname: n1\n", "n.yaml:2: this is not YAML"},
        BadFile{"not_a_table", "- a\n- b\n", "n.yaml:1: the file is not a table"},
        BadFile{"unknown_key", "node: { name: n1 }\nraft:\n  hartbeat: 1s\n",
                "n.yaml:3: raft.hartbeat: unknown key; did you mean raft.heartbeat?"},
        BadFile{"unknown_section", "rafft: { heartbeat: 1s }\n", "n.yaml:1: rafft: unknown key"},
        BadFile{"wrong_section", "node: { name: n1 }\nraft: { fsync: on }\n", "did you mean storage.fsync?"},
        BadFile{"nothing_near", "zzzzzzzzzzzz: 1\n", "unknown key; assentd start --print-config lists the keys"},
        BadFile{"duplicate_key", "node: { name: n1 }\nraft:\n  heartbeat: 1s\n  heartbeat: 2s\n",
                "n.yaml:4: raft.heartbeat is there twice"},
        BadFile{"duplicate_section", "raft: {}\nnode: { name: n1 }\nraft: {}\n", "n.yaml:3: raft is there twice"},
        BadFile{"section_as_value", "raft: 5\n", "n.yaml:1: raft is a section"},
        BadFile{"value_as_list", "raft: { heartbeat: [1s] }\n", "raft.heartbeat takes one value"},
        BadFile{"unknown_protocol", "node: { name: n1 }\ntxn: { protocol: paxos }\n", "n.yaml:2: txn.protocol"},
        BadFile{"no_value", "node:\n  name:\n", "n.yaml:2: node.name has no value"},
        BadFile{"no_unit", "raft: { heartbeat: 100 }\n",
                "raft.heartbeat: \"100\" has no unit; units are ms s m h, for example 100ms"},
        BadFile{"bad_unit", "raft: { heartbeat: 1day }\n", "has a unit that is not known"},
        BadFile{"bad_size_unit", "limits: { max_message: 4MB }\n", "units are B KiB MiB GiB"},
        BadFile{"negative", "txn: { timeout: -1s }\n", "txn.timeout: \"-1s\" is negative"},
        BadFile{"negative_count", "raft: { snapshot_every: -5 }\n", "is negative"},
        BadFile{"fraction", "raft: { snapshot_every: 1.5 }\n", "is not a whole number"},
        BadFile{"overflow", "raft: { snapshot_every: 99999999999999999999999 }\n", "is too large"},
        BadFile{"overflow_unit", "limits: { max_message: 99999999999999999GiB }\n", "is too large"},
        BadFile{"out_of_range", "raft: { heartbeat: 1ms }\n", "1ms is outside 10ms to 1m"},
        BadFile{"bad_port", "listen: { client: \"127.0.0.1:70000\" }\n",
                "listen.client: \"127.0.0.1:70000\" has the port \"70000\"; ports are 1 to 65535"},
        BadFile{"port_zero", "listen: { peer: \"h:0\" }\n", "ports are 1 to 65535"},
        BadFile{"no_port", "listen: { client: localhost }\n", "has no port; write host:port"},
        BadFile{"no_host", "listen: { client: \":7420\" }\n", "has no host"},
        BadFile{"bare_ipv6", "listen: { client: \"::1:7420\" }\n", "has no readable host"},
        BadFile{"same_ports", "node: { name: n1 }\nlisten: { client: \"h:1\", peer: \"h:1\" }\n",
                "is also listen.client"},
        BadFile{"bad_name", "node: { name: \"N 1\" }\n", "node.name: \"N 1\" is not a name"},
        BadFile{"bad_switch", "storage: { fsync: maybe }\n", "\"maybe\" is neither on nor off"},
        BadFile{"bad_level", "log: { level: loud }\n", "\"loud\" is none of trace, debug, info, warn, error"},
        BadFile{"peers_not_table", "cluster: { peers: [n1] }\n", "cluster.peers takes a table"},
        BadFile{"peer_address", "node: { name: n1 }\ncluster:\n  peers:\n    n1: \"h\"\n",
                "n.yaml:4: cluster.peers: n1: \"h\" has no port"},
        BadFile{"peer_twice", "node: { name: n1 }\ncluster: { peers: { n1: \"h:1\", n1: \"h:2\" } }\n",
                "n1 is there twice"},
        BadFile{"peers_share_address", "node: { name: n1 }\ncluster: { peers: { n1: \"h:1\", n2: \"h:1\" } }\n",
                "n1 and n2 have the same address h:1"},
        BadFile{"self_not_peer", "node: { name: n4 }\ncluster: { peers: { n1: \"h:1\", n2: \"h:2\" } }\n",
                "n.yaml:1: node.name: n4 is none of cluster.peers (n1, n2)"},
        BadFile{"client_not_peer",
                "node: { name: n1 }\ncluster: { peers: { n1: \"h:1\" }, clients: { n9: \"h:2\" } }\n",
                "n9 is none of cluster.peers (n1)"},
        BadFile{"groups_not_list", "cluster: { groups: { id: c0 } }\n", "cluster.groups takes a list"},
        BadFile{"groups_empty", "node: { name: n1 }\ncluster: { groups: [] }\n", "cluster.groups: is empty"},
        BadFile{"group_no_id", "cluster:\n  groups:\n    - { role: shard, members: [n1] }\n",
                "n.yaml:3: cluster.groups: a group has no id"},
        BadFile{"group_unknown_key", "cluster: { groups: [ { id: s1, role: shard, members: [n1], rage: 1 } ] }\n",
                "unknown key \"rage\" of a group"},
        BadFile{"group_role", "node: { name: n1 }\ncluster: { groups: [ { id: s1, role: shart, members: [n1] } ] }\n",
                "the role \"shart\" is neither coordinator nor shard"},
        BadFile{"group_no_members",
                "node: { name: n1 }\ncluster: { groups: [ { id: s1, role: shard, members: [] } ] }\n",
                "s1: has no members"},
        BadFile{"group_member",
                "node: { name: n1 }\ncluster: { groups: [ { id: s1, role: shard, members: [n1, n7] } ] }\n",
                "s1: the member n7 is none of cluster.peers (n1)"},
        BadFile{"group_member_twice",
                "node: { name: n1 }\ncluster: { groups: [ { id: s1, role: shard, members: [n1, n1] } ] }\n",
                "the member n1 is there twice"},
        BadFile{"group_twice",
                "node: { name: n1 }\ncluster: { groups: [ { id: s1, role: shard, members: [n1] }, { id: s1, role: "
                "coordinator, members: [n1] } ] }\n",
                "s1 is there twice"},
        BadFile{"no_coordinator",
                "node: { name: n1 }\ncluster: { groups: [ { id: s1, role: shard, members: [n1] }, { id: s2, role: "
                "shard, members: [n1] } ] }\n",
                "no group with role coordinator"},
        BadFile{"election_too_short", "node: { name: n1 }\nraft: { heartbeat: 1s }\n",
                "less than three times raft.heartbeat"},
        BadFile{"prepare_longer", "node: { name: n1 }\ntxn: { prepare_timeout: 20s }\n", "is longer than txn.timeout"},
        BadFile{"history_shorter", "node: { name: n1 }\ntxn: { history: { keep: 1m } }\n",
                "is shorter than txn.retention"},
        BadFile{"transaction_above_message", "node: { name: n1 }\nlimits: { max_transaction: 8MiB }\n",
                "is above limits.max_message"}),
    [](const auto& test) { return std::string(test.param.name); });

TEST(Config, NamesTheVariableOrFlagAtFault) {
  ConfigSources sources = sources_of(good_file);
  sources.environment["ASSENT_RAFT_HEARTBEAT"] = "fast";
  auto loaded = load_config(sources);
  ASSERT_FALSE(loaded);
  EXPECT_THAT(loaded.error()[0].text(),
              HasSubstr("environment ASSENT_RAFT_HEARTBEAT: raft.heartbeat: \"fast\" is not a number"));
  sources.environment.clear();
  sources.flags["txn.prepare_timeout"] = "2";
  loaded = load_config(sources);
  ASSERT_FALSE(loaded);
  EXPECT_THAT(loaded.error()[0].text(),
              HasSubstr("flag --txn.prepare-timeout: txn.prepare_timeout: \"2\" has no unit"));
  sources.flags = {{"cluster.peers", "n1:h:1"}};
  loaded = load_config(sources);
  ASSERT_FALSE(loaded);
  EXPECT_THAT(loaded.error()[0].text(), HasSubstr("is not name=host:port"));
  sources.flags = {{"cluster.groups", "c0"}};
  loaded = load_config(sources);
  ASSERT_FALSE(loaded);
  EXPECT_THAT(loaded.error()[0].text(), HasSubstr("is not id:role:members"));
}

TEST(Config, SurvivesArbitraryBytes) {
  std::uint64_t state = 88172645463325252ULL;
  for (int round = 0; round < 3000; ++round) {
    std::string text = good_file;
    for (int edit = 0; edit < 3; ++edit) {
      state ^= state << 13U;
      state ^= state >> 7U;
      state ^= state << 17U;
      text[state % text.size()] = static_cast<char>(state >> 40U);
    }
    static_cast<void>(load_config(sources_of(text)));  // any answer, no crash
  }
}

}  // namespace
}  // namespace assent
