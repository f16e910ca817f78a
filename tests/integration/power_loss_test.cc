// Power loss of the whole site (D1, R01): all nodes die at once, and of their disks only that is left which was synced.
// A preloaded shim (power_loss_shim.cc) keeps, beside each data directory, the worst case that a power loss could
// leave; the nodes are started again on that.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>

#include "tests/integration/bank_under_fire.h"
#include "tests/integration/cluster.h"

namespace assent::testing {
namespace {

class Site {
 public:
  explicit Site(Cluster& cluster) : cluster_(cluster), folder_("shadows") {
    for (const std::string_view node : Cluster::nodes) {
      cluster_.run_under(node, {"/usr/bin/env", fmt::format("LD_PRELOAD={}", ASSENT_POWER_LOSS_SHIM),
                                fmt::format("ASSENT_POWER_LOSS_DATA={}", cluster_.data_of(node).string()),
                                fmt::format("ASSENT_POWER_LOSS_SHADOW={}", shadow_of(node).string())});
    }
  }

  void lose_power() {
    cluster_.kill_all();
    for (const std::string_view node : Cluster::nodes) {
      const auto names = shadow_of(node) / "names";
      ASSERT_TRUE(std::filesystem::exists(names / "identity")) << "the shim saw no sync of " << node;
      std::filesystem::remove_all(cluster_.data_of(node));
      std::filesystem::copy(names, cluster_.data_of(node), std::filesystem::copy_options::recursive);
      // What is there now is on the disk: the next life's shadow begins with it.
      std::filesystem::remove_all(shadow_of(node));
      begin_shadow(node);
    }
  }

 private:
  [[nodiscard]] std::filesystem::path shadow_of(std::string_view node) const { return folder_.path() / node; }

  void begin_shadow(std::string_view node) const {
    const auto data = cluster_.data_of(node);
    const auto inodes = shadow_of(node) / "inodes";
    const auto names = shadow_of(node) / "names";
    std::filesystem::create_directories(inodes);
    std::filesystem::create_directories(names);
    for (const auto& entry : std::filesystem::recursive_directory_iterator(data)) {
      const auto name = names / std::filesystem::relative(entry.path(), data);
      if (entry.is_directory()) {
        std::filesystem::create_directories(name);
        continue;
      }
      const auto inode = inodes / std::to_string(inode_of(entry.path()));
      std::filesystem::copy_file(entry.path(), inode);
      std::filesystem::create_hard_link(inode, name);
    }
  }
  [[nodiscard]] static std::uint64_t inode_of(const std::filesystem::path& path);

  Cluster& cluster_;
  TestFolder folder_;
};

std::uint64_t Site::inode_of(const std::filesystem::path& path) {
  struct stat about {};
  EXPECT_EQ(::stat(path.c_str(), &about), 0);
  return about.st_ino;
}

TEST(PowerLoss, D1_the_whole_site_at_once_under_load_keeps_what_was_acknowledged) {
  ClusterOptions options;
  options.extra_yaml = "raft: { snapshot_every: 200 }\n";
  Cluster cluster("power-loss", options);
  Site site(cluster);
  cluster.start_all();
  ASSERT_TRUE(cluster.wait_for_leaders());
  BankUnderFire bank(cluster);
  ASSERT_TRUE(bank.set_up());
  bank.start_load();
  for (int round = 0; round < 4; ++round) {
    SCOPED_TRACE(fmt::format("round {}", round));
    ASSERT_TRUE(bank.wait_for_commits(static_cast<std::uint64_t>(100 + 70 * round)));
    site.lose_power();
    ASSERT_FALSE(HasFatalFailure());
    cluster.start_all();
    ASSERT_TRUE(cluster.wait_for_leaders());
  }
  ASSERT_TRUE(bank.wait_for_commits(50));
  bank.stop_load();
  bank.judge();
}

// The shim must be able to show a loss: without syncs nothing of the load survives, and the judge sees it.
TEST(PowerLoss, D1_without_syncs_the_loss_is_seen) {
  ClusterOptions options;
  options.extra_yaml = "storage: { fsync: off }\n";
  Cluster cluster("power-loss-unsynced", options);
  Site site(cluster);
  cluster.start_all();
  ASSERT_TRUE(cluster.wait_for_leaders());
  client::Client client = cluster.connect();
  client::Transaction put;
  put.on("s1", KvPut{"acknowledged", "yes"});
  const auto outcome = client.execute(put, std::chrono::seconds(20));
  ASSERT_TRUE(outcome && outcome->committed());
  site.lose_power();
  ASSERT_FALSE(HasFatalFailure());
  cluster.start_all();
  ASSERT_TRUE(cluster.wait_for_leaders());
  client::Client again = cluster.connect();
  const auto read = again.query("s1", {KvGet{"acknowledged"}});
  ASSERT_TRUE(read.has_value()) << read.error().text();
  EXPECT_TRUE(read->results.front().rows.empty()) << "it was never synced, and is still there: the shim does not lose";
}

}  // namespace
}  // namespace assent::testing
