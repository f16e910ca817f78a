#include "tests/forwarder.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <stdexcept>

namespace assent::testing {
namespace {

constexpr int pause_millis = 5;  // between two turns when nobody says anything

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  return address;
}

}  // namespace

Forwarder::Forwarder(std::uint16_t target) : target_(target) {
  listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = loopback(0);
  socklen_t length = sizeof(address);
  if (::bind(listener_, reinterpret_cast<sockaddr*>(&address), length) != 0 || ::listen(listener_, 64) != 0 ||
      ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &length) != 0) {
    throw std::runtime_error("no port for a proxy");
  }
  port_ = ntohs(address.sin_port);
}

Forwarder::~Forwarder() { ::close(listener_); }

void Forwarder::begin() {
  thread_ = std::thread([this] { run(); });
}

void Forwarder::end() {
  stop_ = true;
  thread_.join();
  close_all();
}

bool Forwarder::send_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

void Forwarder::close_all() {
  for (Link& link : links_) close_link(link);
  links_.clear();
  open_links_ = 0;
}

void Forwarder::close_link(Link& link) {
  ::close(link.client);
  ::close(link.server);
  link = {};
}

void Forwarder::accept_one() {
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
  open_links_ = links_.size();
}

// False when the link is over.
bool Forwarder::forward(Link& link, bool from_client) {
  std::array<char, 64 << 10U> buffer{};
  const ssize_t got = ::recv(from_client ? link.client : link.server, buffer.data(), buffer.size(), 0);
  if (got <= 0) return false;
  const std::string_view bytes(buffer.data(), static_cast<std::size_t>(got));
  return from_client ? client_said(link, bytes) : server_said(link, bytes);
}

void Forwarder::run() {
  while (!stop_) {
    turn();
    std::vector<pollfd> watched{{listener_, POLLIN, 0}};
    for (const Link& link : links_) {
      watched.push_back({link.client, POLLIN, 0});
      watched.push_back({link.server, POLLIN, 0});
    }
    if (::poll(watched.data(), stands_still() ? 0 : watched.size(), pause_millis) <= 0) continue;
    for (std::size_t i = 0; i < links_.size() && !stands_still(); ++i) {
      bool open = true;
      if (watched[1 + 2 * i].revents != 0) open = forward(links_[i], true);
      if (open && !stands_still() && watched[2 + 2 * i].revents != 0) open = forward(links_[i], false);
      if (!open) close_link(links_[i]);
    }
    std::erase_if(links_, [](const Link& link) { return link.client < 0; });
    open_links_ = links_.size();
    if (watched[0].revents != 0) accept_one();
  }
}

}  // namespace assent::testing
