// What tests with servers of their own share: a port for a server, and waiting for a condition.
#pragma once

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <thread>

namespace assent::testing {

// A port of 127.0.0.1 that nobody listens on now, and no other test gets while this process lives: a file with its
// number, in a folder of this user, is locked. Below those that Linux hands out by itself, so that a node that is down
// for a while finds its port as it left it. 0 when there is none.
[[nodiscard]] inline std::uint16_t free_port() {
  constexpr int first = 10'000;
  constexpr int count = 10'000;
  const std::string folder = "/tmp/assent-test-ports-" + std::to_string(::getuid());
  ::mkdir(folder.c_str(), 0700);
  for (int i = 0; i < count; ++i) {
    const int port = first + (static_cast<int>(::getpid()) * 37 + i) % count;
    const int lock = ::open((folder + "/" + std::to_string(port)).c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (lock < 0) continue;
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    const bool free = ::flock(lock, LOCK_EX | LOCK_NB) == 0 &&
                      ::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0;
    ::close(fd);
    if (free) return static_cast<std::uint16_t>(port);  // the lock stays open
    ::close(lock);
  }
  return 0;
}

// Looks at the condition, with a pause between two looks, until it holds; false when it does not within the time.
[[nodiscard]] inline bool eventually(std::chrono::milliseconds at_most, const std::function<bool()>& condition,
                                     std::chrono::milliseconds pause = std::chrono::milliseconds(20)) {
  const auto end = std::chrono::steady_clock::now() + at_most;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(pause);
  }
  return true;
}

}  // namespace assent::testing
