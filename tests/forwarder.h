// A TCP proxy on loopback, to be derived from: forwards byte by byte what both sides say, unless the derived class
// thinks otherwise. One thread of its own, which calls the virtual functions; begin() and end() are for the derived
// class's constructor and destructor.
#pragma once

#include <atomic>
#include <cstdint>
#include <string_view>
#include <thread>
#include <vector>

namespace assent::testing {

class Forwarder {
 public:
  Forwarder(const Forwarder&) = delete;
  Forwarder& operator=(const Forwarder&) = delete;
  [[nodiscard]] std::uint16_t port() const { return port_; }
  // How many connections go through it now.
  [[nodiscard]] std::size_t open_links() const { return open_links_; }

 protected:
  struct Link {
    int client = -1;
    int server = -1;
    bool asked = false;  // for the derived class
  };

  // Listens on a free port, and forwards to that one.
  explicit Forwarder(std::uint16_t target);
  virtual ~Forwarder();
  void begin();
  void end();

  // What one side said. False: the link is over.
  [[nodiscard]] virtual bool client_said(Link& link, std::string_view bytes) = 0;
  [[nodiscard]] virtual bool server_said(Link& link, std::string_view bytes) = 0;
  // Before each look at the links.
  virtual void turn() {}
  // Nothing is read and nobody is let in.
  [[nodiscard]] virtual bool stands_still() const { return false; }

  [[nodiscard]] static bool send_all(int fd, std::string_view bytes);
  void close_all();

 private:
  void run();
  void accept_one();
  [[nodiscard]] bool forward(Link& link, bool from_client);
  static void close_link(Link& link);

  const std::uint16_t target_;
  std::uint16_t port_ = 0;
  int listener_ = -1;
  std::vector<Link> links_;  // the thread's alone
  std::atomic<std::size_t> open_links_ = 0;
  std::atomic<bool> stop_ = false;
  std::thread thread_;
};

}  // namespace assent::testing
