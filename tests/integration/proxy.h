// A TCP proxy on loopback that can cut its connections at the worst moment: after the request has gone to the server
// and before a byte of the answer comes back. One thread of its own.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

namespace assent::testing {

class Proxy {
 public:
  // Listens on a free port of 127.0.0.1 and forwards to the address.
  explicit Proxy(const std::string& target);
  ~Proxy();
  Proxy(const Proxy&) = delete;
  Proxy& operator=(const Proxy&) = delete;

  [[nodiscard]] std::string address() const;
  // Answers are swallowed from now on; the connections that lost one are closed when this many bytes of requests have
  // passed since. Then the proxy is transparent again.
  void cut_after_requests_of(std::uint64_t bytes);
  [[nodiscard]] std::uint64_t cuts() const { return cuts_; }

 private:
  struct Link {
    int client = -1;
    int server = -1;
  };
  void run();
  void accept_one();
  [[nodiscard]] bool forward(Link& link, bool from_client);
  static void close_link(Link& link);

  std::uint16_t target_port_ = 0;
  std::uint16_t port_ = 0;
  int listener_ = -1;
  std::vector<Link> links_;  // of the thread alone
  std::atomic<bool> stop_{false};
  std::atomic<std::int64_t> cut_in_{-1};  // bytes of requests until the cut; negative: transparent
  std::atomic<std::uint64_t> cuts_{0};
  std::thread thread_;
};

}  // namespace assent::testing
