// S01, S03: the connection goes when the request is with the server and the answer is not yet with the client. The
// client neither guesses nor runs the work twice: it sends the same id again, or asks.
#include <gtest/gtest.h>

#include <map>
#include <memory>

#include "tests/integration/bank_under_fire.h"
#include "tests/integration/cluster.h"
#include "tests/integration/proxy.h"

namespace assent::testing {
namespace {

using namespace std::chrono_literals;

TEST(LostConnection, answers_that_are_lost_on_the_way_are_asked_for_and_the_work_is_done_once) {
  // The nodes tell clients the proxies' addresses, so the proxies come first, and their targets are known ports.
  ClusterOptions options;
  std::vector<std::unique_ptr<Proxy>> proxies;
  for (const std::string_view node : Cluster::nodes) {
    const std::uint16_t port = free_port();
    options.client_ports[std::string(node)] = port;
    proxies.push_back(std::make_unique<Proxy>("127.0.0.1:" + std::to_string(port)));
    options.advertised[std::string(node)] = proxies.back()->address();
  }
  Cluster cluster("lost-connection", options);
  cluster.start_all();
  ASSERT_TRUE(cluster.wait_for_leaders());
  BankUnderFire bank(cluster, 8);
  ASSERT_TRUE(bank.set_up());
  bank.start_load();
  for (int round = 0; round < 12; ++round) {
    SCOPED_TRACE("round " + std::to_string(round));
    ASSERT_TRUE(bank.wait_for_commits(20));
    Proxy& proxy = *proxies[static_cast<std::size_t>(round) % proxies.size()];
    const std::uint64_t before = proxy.cuts();
    proxy.cut_after_requests_of(500);
    // Whether this node is asked anything depends on what it leads; the client's own status calls come by as well.
    ASSERT_TRUE(eventually(20s, [&] {
      static_cast<void>(bank.client().status());
      return proxy.cuts() > before;
    }));
  }
  ASSERT_TRUE(bank.wait_for_commits(20));
  bank.stop_load();
  bank.judge();
}

}  // namespace
}  // namespace assent::testing
