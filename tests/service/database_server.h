// A database server of the test's own, in a folder of its own, on a free port of this machine, as an unprivileged user
// when the test runs as root. It ends with the test, whatever ends that: a shell keeps it, and stops it when its own
// standard input is closed. A server that dies is started again.
#pragma once

#include <cstdint>
#include <string>

namespace assent::service::testing {

class DatabaseServer {
 public:
  // The commands run in a shell with $dir and $port set, as `user` when the caller is root. `prepare` fills $dir,
  // `serve` is the server itself, in the foreground; `stop` is the signal that ends it at once.
  struct Commands {
    std::string user;
    std::string prepare;
    std::string serve;
    std::string stop;
  };
  explicit DatabaseServer(const Commands& commands);
  ~DatabaseServer();
  DatabaseServer(const DatabaseServer&) = delete;
  DatabaseServer& operator=(const DatabaseServer&) = delete;

  // SIGKILL to the server, which is started again at once, as by whatever keeps servers. Its data is as it was left.
  void kill();
  [[nodiscard]] std::uint16_t port() const { return port_; }
  [[nodiscard]] const std::string& folder() const { return folder_; }
  // What it printed.
  [[nodiscard]] std::string log() const;

 private:
  std::uint16_t port_ = 0;
  std::string folder_;
  int keeper_ = -1;  // the process
  int input_ = -1;   // its standard input
};

}  // namespace assent::service::testing
