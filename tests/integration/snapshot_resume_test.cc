// A follower that is far behind takes a snapshot of some size while the others go on under load, over a connection that
// breaks in the middle of it: what had arrived is not sent again.
#include <gtest/gtest.h>

#include <atomic>
#include <regex>

#include "tests/forwarder.h"
#include "tests/integration/bank_under_fire.h"
#include "tests/integration/cluster.h"

namespace assent::testing {
namespace {

using namespace std::chrono_literals;

// Before a node: closes each connection that has brought so many bytes in large pieces, until it is told to let all
// pass. Frames are small, so that what it closes carries a snapshot.
class BreakingLink final : public Forwarder {
 public:
  explicit BreakingLink(std::uint16_t target) : Forwarder(target) { begin(); }
  ~BreakingLink() override { end(); }
  [[nodiscard]] std::string address() const { return "127.0.0.1:" + std::to_string(port()); }
  void break_each_after(std::int64_t bytes) { every_ = left_ = bytes; }
  void let_pass() { every_ = -1; }
  [[nodiscard]] int breaks() const { return breaks_; }

 private:
  bool client_said(Link& link, std::string_view bytes) override {
    constexpr std::size_t large = 16'384;
    if (every_ < 0 || bytes.size() < large) return send_all(link.server, bytes);
    left_ -= static_cast<std::int64_t>(bytes.size());
    if (left_ > 0) return send_all(link.server, bytes);
    left_ = every_.load();
    ++breaks_;
    return false;
  }
  bool server_said(Link& link, std::string_view bytes) override { return send_all(link.client, bytes); }

  std::atomic<std::int64_t> every_ = -1;
  std::atomic<std::int64_t> left_ = 0;
  std::atomic<int> breaks_ = 0;
};

void fill(Cluster& cluster, int count) {
  client::Client client = cluster.connect();
  for (int i = 0; i < count; ++i) {
    const auto done = client.run_with_retry([&](const TxnId&) {
      client::Transaction transaction;
      transaction.on("s1", KvPut{"large " + std::to_string(i), Bytes(200'000, static_cast<char>('a' + i % 26))});
      return transaction;
    });
    ASSERT_TRUE(done) << done.error().message;
  }
}

TEST(SnapshotResume, a_follower_far_behind_goes_on_where_its_stream_broke) {
  const std::uint16_t port = free_port();
  BreakingLink link(port);
  ClusterOptions options;
  options.peers_through["n3"] = {link.address(), port};
  options.extra_yaml = "raft: { snapshot_every: 2000, snapshot_rate: 16MiB }\n";
  Cluster cluster("resume", options);
  cluster.start_all();
  ASSERT_TRUE(cluster.wait_for_leaders());
  BankUnderFire bank(cluster);
  ASSERT_TRUE(bank.set_up());
  cluster.kill("n3");
  ASSERT_TRUE(cluster.wait_for_leaders());
  // So much that the log of s1 does not reach back to where n3 is: a tail of 16 MiB is kept before a snapshot.
  fill(cluster, 120);
  bank.start_load();
  ASSERT_TRUE(bank.wait_for_commits(3'000, 240s));
  link.break_each_after(6'000'000);
  cluster.start("n3");
  const auto resumed = [&] {
    for (const char* node : {"n1", "n2"}) {
      const std::string log = cluster.log_of(node);
      if (log.find("snapshot goes on where it broke") != std::string::npos) return true;
    }
    return false;
  };
  EXPECT_TRUE(eventually(120s, resumed)) << link.breaks() << " times a connection was closed";
  link.let_pass();
  EXPECT_GE(link.breaks(), 1);
  EXPECT_TRUE(eventually(120s, [&] { return cluster.log_of("n3").find("snapshot received") != std::string::npos; }));
  ASSERT_TRUE(bank.wait_for_commits(100));
  bank.stop_load();
  bank.judge();
}

}  // namespace
}  // namespace assent::testing
