// A TCP proxy on loopback that counts requests, and stops the world at one of them: before it reaches the server, or
// after the server has answered it and before the answer is seen. A request that is not answered (MariaDB's end of a
// statement) is one with that after it. One thread of its own.
#pragma once

#include <atomic>
#include <cstdint>

#include "tests/forwarder.h"

namespace assent::agent::testing {

class StepProxy final : public assent::testing::Forwarder {
 public:
  explicit StepProxy(std::uint16_t target) : Forwarder(target) { begin(); }
  ~StepProxy() override { end(); }

  // Counts from now on; stands still at the request of that number (from 1). 0: never.
  void arm(int stop_at, bool answered);
  [[nodiscard]] int requests() const { return requests_; }
  [[nodiscard]] bool frozen() const { return frozen_; }
  // Ends the connections that there are; later ones pass.
  void cut() { cut_ = true; }

 private:
  [[nodiscard]] bool client_said(Link& link, std::string_view bytes) override;
  [[nodiscard]] bool server_said(Link& link, std::string_view bytes) override;
  void turn() override;
  [[nodiscard]] bool stands_still() const override { return frozen_; }

  bool passed_ = false;  // the thread's alone: the request has gone to the server
  std::atomic<int> requests_ = 0;
  std::atomic<int> stop_at_ = 0;
  std::atomic<bool> answered_ = false;
  std::atomic<bool> frozen_ = false;
  std::atomic<bool> cut_ = false;
};

}  // namespace assent::agent::testing
