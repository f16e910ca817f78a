// A bank on a cluster, under load from this process, and the judgement after each disturbance: money conserved, nothing
// in doubt, nothing acknowledged lost, nothing aborted done, replicas equal.
#pragma once

#include <chrono>
#include <memory>

#include "cli/bank/load.h"
#include "cli/bank/setup.h"
#include "client/client.h"
#include "tests/integration/cluster.h"

namespace assent::testing {

class BankUnderFire {
 public:
  explicit BankUnderFire(Cluster& cluster, std::uint32_t clients = 16);
  ~BankUnderFire();  // ends a load that a failed test has left
  BankUnderFire(const BankUnderFire&) = delete;
  BankUnderFire& operator=(const BankUnderFire&) = delete;

  // Makes tables and accounts; false (and a test failure) when that does not work.
  [[nodiscard]] bool set_up();
  void start_load();
  // Until this many more transfers have committed than when it was called; false when it takes longer.
  [[nodiscard]] bool wait_for_commits(std::uint64_t more, std::chrono::milliseconds at_most = std::chrono::seconds(60));
  [[nodiscard]] std::uint64_t committed();
  // Ends the load and resolves what is not definite, by asking.
  void stop_load();
  // All of the above, as test expectations. All nodes must be up. To be called after stop_load().
  void judge();

  [[nodiscard]] client::Client& client() { return client_; }
  [[nodiscard]] const bank::Bank& bank() const { return made_.bank; }

 private:
  void judge_books();
  void judge_replicas();

  client::Client client_;
  bank::LoadOptions options_;
  bank::SetUp made_;
  TxnId since_;
  std::unique_ptr<bank::Load> load_;
};

}  // namespace assent::testing
