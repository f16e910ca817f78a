#include "tests/integration/proxy.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <string_view>

namespace assent::testing {
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

Proxy::Proxy(const std::string& target)
    : target_port_(static_cast<std::uint16_t>(std::stoi(target.substr(target.rfind(':') + 1)))) {
  listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = loopback(0);
  socklen_t length = sizeof(address);
  EXPECT_EQ(::bind(listener_, reinterpret_cast<sockaddr*>(&address), length), 0);
  EXPECT_EQ(::listen(listener_, 64), 0);
  EXPECT_EQ(::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &length), 0);
  port_ = ntohs(address.sin_port);
  thread_ = std::thread([this] { run(); });
}

Proxy::~Proxy() {
  stop_ = true;
  thread_.join();
  for (Link& link : links_) close_link(link);
  ::close(listener_);
}

std::string Proxy::address() const { return "127.0.0.1:" + std::to_string(port_); }

void Proxy::cut_after_requests_of(std::uint64_t bytes) { cut_in_ = static_cast<std::int64_t>(bytes); }

void Proxy::close_link(Link& link) {
  ::close(link.client);
  ::close(link.server);
  link = {};
}

void Proxy::accept_one() {
  Link link;
  link.client = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
  if (link.client < 0) return;
  link.server = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const sockaddr_in address = loopback(target_port_);
  if (::connect(link.server, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    close_link(link);
    return;
  }
  links_.push_back(link);
}

// False when the link is over: one side closed it, or it is cut.
bool Proxy::forward(Link& link, bool from_client) {
  std::array<char, 64 << 10U> buffer{};
  const ssize_t got = ::recv(from_client ? link.client : link.server, buffer.data(), buffer.size(), 0);
  if (got <= 0) return false;
  const std::string_view bytes(buffer.data(), static_cast<std::size_t>(got));
  if (!from_client) return cut_in_ >= 0 || send_all(link.client, bytes);  // an answer is lost while a cut is due
  if (!send_all(link.server, bytes)) return false;
  if (cut_in_ < 0) return true;
  if ((cut_in_ -= got) >= 0) return true;
  cut_in_ = -1;
  ++cuts_;
  return false;
}

void Proxy::run() {
  while (!stop_) {
    std::vector<pollfd> watched{{listener_, POLLIN, 0}};
    for (const Link& link : links_) {
      watched.push_back({link.client, POLLIN, 0});
      watched.push_back({link.server, POLLIN, 0});
    }
    if (::poll(watched.data(), watched.size(), 20) <= 0) continue;
    for (std::size_t i = 0; i < links_.size(); ++i) {
      bool open = true;
      if (watched[1 + 2 * i].revents != 0) open = forward(links_[i], true);
      if (open && watched[2 + 2 * i].revents != 0) open = forward(links_[i], false);
      if (!open) close_link(links_[i]);
    }
    std::erase_if(links_, [](const Link& link) { return link.client < 0; });
    if (watched[0].revents != 0) accept_one();
  }
}

}  // namespace assent::testing
