// A TCP proxy on loopback that counts requests, and stops the world at one of them: before it reaches the server, or
// after the server has answered it and before the answer is seen. A request that is not answered (MariaDB's end of a
// statement) is one with that after it. One thread of its own.
#pragma once

#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

namespace assent::agent::testing {

class StepProxy {
 public:
  explicit StepProxy(std::uint16_t target);
  ~StepProxy();
  StepProxy(const StepProxy&) = delete;
  StepProxy& operator=(const StepProxy&) = delete;

  [[nodiscard]] std::uint16_t port() const { return port_; }
  // Counts from now on; stands still at the request of that number (from 1). 0: never.
  void arm(int stop_at, bool answered);
  [[nodiscard]] int requests() const { return requests_; }
  [[nodiscard]] bool frozen() const { return frozen_; }
  // Ends the connections that there are; later ones pass.
  void cut();

 private:
  struct Link {
    int client = -1;
    int server = -1;
    bool asked = false;  // and not answered yet
  };
  void run();
  void accept_one();
  [[nodiscard]] bool forward(Link& link, bool from_client);
  static void close_link(Link& link);

  const std::uint16_t target_;
  std::uint16_t port_ = 0;
  int listener_ = -1;
  std::vector<Link> links_;  // the thread's alone
  bool passed_ = false;      // the thread's alone: the request has gone to the server
  std::atomic<int> requests_ = 0;
  std::atomic<int> stop_at_ = 0;
  std::atomic<bool> answered_ = false;
  std::atomic<bool> frozen_ = false;
  std::atomic<bool> cut_ = false;
  std::atomic<bool> stop_ = false;
  std::thread thread_;
};

}  // namespace assent::agent::testing
