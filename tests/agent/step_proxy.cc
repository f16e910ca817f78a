#include "tests/agent/step_proxy.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <stdexcept>
#include <string_view>

namespace assent::agent::testing {

namespace {

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  return address;
}

bool send_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

}  // namespace

StepProxy::StepProxy(std::uint16_t target) : target_(target) {
  listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = loopback(0);
  socklen_t length = sizeof(address);
  if (::bind(listener_, reinterpret_cast<sockaddr*>(&address), length) != 0 || ::listen(listener_, 16) != 0 ||
      ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &length) != 0) {
    throw std::runtime_error("no port for a proxy");
  }
  port_ = ntohs(address.sin_port);
  thread_ = std::thread([this] { run(); });
}

StepProxy::~StepProxy() {
  stop_ = true;
  thread_.join();
  for (Link& link : links_) close_link(link);
  ::close(listener_);
}

void StepProxy::arm(int stop_at, bool answered) {
  requests_ = 0;
  answered_ = answered;
  stop_at_ = stop_at;
}

void StepProxy::cut() { cut_ = true; }

void StepProxy::close_link(Link& link) {
  ::close(link.client);
  ::close(link.server);
  link = {};
}

void StepProxy::accept_one() {
  Link link;
  link.client = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
  if (link.client < 0) return;
  link.server = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const sockaddr_in address = loopback(target_);
  if (::connect(link.server, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    close_link(link);
    return;
  }
  links_.push_back(link);
}

// False when the link is over.
bool StepProxy::forward(Link& link, bool from_client) {
  std::array<char, 64 << 10U> buffer{};
  const ssize_t got = ::recv(from_client ? link.client : link.server, buffer.data(), buffer.size(), 0);
  if (got <= 0) return false;
  const std::string_view bytes(buffer.data(), static_cast<std::size_t>(got));
  if (!from_client) {
    link.asked = false;
    frozen_ = passed_;
    return frozen_ || send_all(link.client, bytes);
  }
  if (!link.asked && ++requests_ == stop_at_) {
    passed_ = answered_;
    frozen_ = !answered_;
    if (frozen_) return true;
  }
  link.asked = true;
  return send_all(link.server, bytes);
}

void StepProxy::run() {
  while (!stop_) {
    if (cut_.exchange(false)) {
      for (Link& link : links_) close_link(link);
      links_.clear();
      passed_ = false;
      stop_at_ = 0;
      frozen_ = false;
    }
    std::vector<pollfd> watched{{listener_, POLLIN, 0}};
    for (const Link& link : links_) {
      watched.push_back({link.client, POLLIN, 0});
      watched.push_back({link.server, POLLIN, 0});
    }
    if (::poll(watched.data(), frozen_ ? 0 : watched.size(), frozen_ ? 20 : 5) <= 0) continue;
    for (std::size_t i = 0; i < links_.size() && !frozen_; ++i) {
      bool open = true;
      if (watched[1 + 2 * i].revents != 0) open = forward(links_[i], true);
      if (open && !frozen_ && watched[2 + 2 * i].revents != 0) open = forward(links_[i], false);
      if (!open) close_link(links_[i]);
    }
    std::erase_if(links_, [](const Link& link) { return link.client < 0; });
    if (watched[0].revents != 0) accept_one();
  }
}

}  // namespace assent::agent::testing
