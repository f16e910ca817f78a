// Damage at rest in the files of running nodes, under load: it is found, told, and replaced while they run; nothing is
// lost, and nothing damaged is left.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <optional>

#include "tests/integration/bank_under_fire.h"
#include "tests/integration/cluster.h"

namespace assent::testing {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

constexpr const char* scrub_often =
    "raft: { snapshot_every: 3000 }\nstorage: { scrub_rate: 256MiB, scrub_every: 200ms }\n";

// In the middle of the bytes that count.
void flip(const std::filesystem::path& path, std::uint64_t offset) {
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  ASSERT_TRUE(file.good()) << path;
  file.seekg(static_cast<std::streamoff>(offset));
  const char before = static_cast<char>(file.get());
  file.seekp(static_cast<std::streamoff>(offset));
  file.put(static_cast<char>(before ^ 0x20));
}

std::vector<std::filesystem::path> files_in(const std::filesystem::path& folder, std::string_view ending) {
  std::vector<std::filesystem::path> files;
  std::error_code ignored;
  for (const auto& file : std::filesystem::directory_iterator(folder, ignored)) {
    if (file.path().filename().string().ends_with(ending)) files.push_back(file.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

// Of a node's /metrics; nullopt when it is not there.
std::optional<double> metric(const Cluster& cluster, std::string_view node, const std::string& name) {
  const CommandResult page =
      run_command({"/usr/bin/curl", "-s", fmt::format("http://{}/metrics", cluster.http_address(node))});
  const std::size_t at = page.output.find("\n" + name + " ");
  if (at == std::string::npos) return std::nullopt;
  return std::stod(page.output.substr(at + name.size() + 2));
}

std::size_t set_aside(const Cluster& cluster, std::string_view node, std::string_view ending) {
  return files_in(cluster.data_of(node) / "damaged", ending).size();
}

TEST(Scrub, DamageInRunningNodesIsFoundToldAndReplaced) {
  ClusterOptions options;
  options.extra_yaml = scrub_often;
  Cluster cluster("scrub", options);
  cluster.start_all();
  ASSERT_TRUE(cluster.wait_for_leaders());
  BankUnderFire bank(cluster);
  ASSERT_TRUE(bank.set_up());
  bank.start_load();

  // A snapshot of n1.
  ASSERT_TRUE(eventually(120s, [&] { return !files_in(cluster.data_of("n1") / "snapshots", ".snap").empty(); }));
  bool damaged = false;
  ASSERT_TRUE(eventually(60s,
                         [&] {
                           // It may be dropped for a newer one at any moment: then another is struck.
                           for (const auto& path : files_in(cluster.data_of("n1") / "snapshots", ".snap")) {
                             std::error_code error;
                             const auto size = std::filesystem::file_size(path, error);
                             if (!error && size > 200) flip(path, size / 2);
                           }
                           damaged = true;
                           return eventually(5s, [&] { return set_aside(cluster, "n1", ".snap") > 0; });
                         }))
      << "no damaged snapshot was replaced: " << cluster.log_of("n1");
  ASSERT_TRUE(damaged);
  EXPECT_THAT(cluster.log_of("n1"), HasSubstr("a file is damaged on the disk"));

  // A closed segment of n2. Its entries may have gone into a snapshot before it is read: then another is struck.
  const auto operate = [&](const std::string& statement) {
    const CommandResult done = run_command(
        {program("assentctl"), "--endpoints", cluster.endpoint_list(), "sql", "--shard", "s1", statement}, 60s);
    EXPECT_EQ(done.status, 0) << done.output;
  };
  operate("CREATE TABLE filler(id INTEGER PRIMARY KEY, data BLOB NOT NULL)");
  int filler = 0;
  std::filesystem::path segment;
  ASSERT_TRUE(eventually(180s, [&] {
    for (int i = 0; i < 22; ++i) {
      operate(fmt::format("INSERT OR REPLACE INTO filler VALUES({}, randomblob(900000))", filler++ % 22));
    }
    const auto segments = files_in(cluster.data_of("n2") / "wal", ".wal");
    if (segments.size() < 2) return false;
    segment = segments[segments.size() - 2];
    flip(segment, 100'000);
    return eventually(10s, [&] { return set_aside(cluster, "n2", ".wal") > 0; });
  })) << cluster.log_of("n2");
  EXPECT_THAT(cluster.log_of("n2"), HasSubstr(segment.filename().string()));
  ASSERT_TRUE(bank.wait_for_commits(50));
  bank.stop_load();

  for (const std::string_view node : {"n1", "n2"}) {
    EXPECT_TRUE(eventually(30s, [&] {
      const auto found = metric(cluster, node, "assent_scrub_damage_found_total");
      return found > 0.0 && found == metric(cluster, node, "assent_scrub_damage_repaired_total") &&
             metric(cluster, node, "assent_scrub_damaged_files") == 0.0 &&
             metric(cluster, node, "assent_scrub_passes_total") > 0.0;
    })) << node;
  }
  bank.judge();

  for (const std::string_view node : Cluster::nodes) {
    cluster.stop(node);
    const CommandResult verified = run_command({program("assentd"), "verify", cluster.data_of(node).string()}, 120s);
    EXPECT_EQ(verified.status, 0) << verified.output;
  }
  cluster.start_all();
  ASSERT_TRUE(cluster.wait_for_leaders());
  bank.judge();
}

// Pages of a shard's database, on a node that runs and on one that does not.
TEST(Scrub, ADamagedDatabaseIsMadeAgain) {
  ClusterOptions options;
  options.extra_yaml = scrub_often;
  Cluster cluster("scrub-database", options);
  cluster.start_all();
  ASSERT_TRUE(cluster.wait_for_leaders());
  BankUnderFire bank(cluster);
  ASSERT_TRUE(bank.set_up());
  bank.start_load();
  ASSERT_TRUE(bank.wait_for_commits(300));

  bank.stop_load();

  const auto spoil = [&](std::string_view node, std::size_t from) {
    const std::filesystem::path path = cluster.data_of(node) / "shards" / "s1.db";
    const std::size_t size = std::filesystem::file_size(path);
    ASSERT_GT(size, from);
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(static_cast<std::streamoff>(from));
    file << std::string(size - from, '\x5a');
    EXPECT_TRUE(file.good()) << path;
  };
  cluster.stop("n2");  // brings SQLite's own log into the file: pages in there would hide what is in the file
  cluster.start("n2");
  ASSERT_TRUE(eventually(30s, [&] { return metric(cluster, "n2", "assent_scrub_passes_total") > 0.0; }));
  spoil("n2", 4096);
  EXPECT_TRUE(eventually(60s, [&] { return set_aside(cluster, "n2", "shards-s1.db") > 0; })) << cluster.log_of("n2");
  EXPECT_TRUE(eventually(10s, [&] {
    return cluster.log_of("n2").find("a group's data were damaged here; it begins anew without them") !=
           std::string::npos;
  })) << cluster.log_of("n2");
  bank.judge();

  cluster.stop("n3");
  std::filesystem::remove(cluster.data_of("n3") / "shards" / "s1.db-wal");  // which would mend it
  spoil("n3", 0);
  cluster.start("n3");
  EXPECT_TRUE(eventually(30s, [&] { return set_aside(cluster, "n3", "shards-s1.db") > 0; })) << cluster.log_of("n3");
  ASSERT_TRUE(cluster.wait_for_leaders());
  bank.judge();
  for (const std::string_view node : Cluster::nodes) EXPECT_TRUE(cluster.process(node).running()) << node;
}

}  // namespace
}  // namespace assent::testing
