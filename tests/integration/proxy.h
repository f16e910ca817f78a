// A TCP proxy on loopback that can cut its connections at the worst moment: after the request has gone to the server
// and before a byte of the answer comes back. One thread of its own.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>

#include "tests/forwarder.h"

namespace assent::testing {

class Proxy final : public Forwarder {
 public:
  // Forwards to the address, which is on 127.0.0.1.
  explicit Proxy(const std::string& target);
  ~Proxy() override { end(); }

  [[nodiscard]] std::string address() const { return "127.0.0.1:" + std::to_string(port()); }
  // Answers are swallowed from now on; the connections that lost one are closed when this many bytes of requests have
  // passed since. Then the proxy is transparent again.
  void cut_after_requests_of(std::uint64_t bytes) { cut_in_ = static_cast<std::int64_t>(bytes); }
  [[nodiscard]] std::uint64_t cuts() const { return cuts_; }

 private:
  [[nodiscard]] bool client_said(Link& link, std::string_view bytes) override;
  // An answer is lost while a cut is due.
  [[nodiscard]] bool server_said(Link& link, std::string_view bytes) override {
    return cut_in_ >= 0 || send_all(link.client, bytes);
  }

  std::atomic<std::int64_t> cut_in_{-1};  // bytes of requests until the cut; negative: transparent
  std::atomic<std::uint64_t> cuts_{0};
};

}  // namespace assent::testing
