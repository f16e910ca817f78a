// The nodes of a development cluster: three assentd processes on loopback, with a coordinator group and two shards on
// all of them. They are started, killed, cut off from each other and slowed down here.
//
// Every member is guarded by a mutex: the terminal's thread and those of the http port use it. Nodes end with this
// process, however it ends.
//
// Invariants: a node's faults are those that were asked for last, also after it was started again.
#pragma once

#include <sys/types.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/result.h"

namespace assent::dev {

struct NodesOptions {
  std::string program;              // assentd
  std::filesystem::path directory;  // of data, configurations and logs
  std::string token;                // for what is done by http
};

struct NodeView {
  std::string name;
  bool running = false;
  std::set<std::string> cut;  // other nodes that it does not reach
  std::chrono::milliseconds sync_delay{0};
  std::string client;  // host:port
  std::string http;
  std::filesystem::path log;
};

class Nodes {
 public:
  static constexpr std::array<const char*, 3> names{"n1", "n2", "n3"};

  // Chooses ports, writes the configurations. Nothing runs yet.
  [[nodiscard]] static Result<std::unique_ptr<Nodes>> make(NodesOptions options);
  ~Nodes();  // SIGTERM, then SIGKILL for what does not end within seconds
  Nodes(const Nodes&) = delete;
  Nodes& operator=(const Nodes&) = delete;

  [[nodiscard]] std::vector<NodeView> view();
  // Each says in a sentence why not. A node that runs is not started, one that does not run is not killed.
  [[nodiscard]] Result<void> start(const std::string& node);
  [[nodiscard]] Result<void> kill(const std::string& node);
  // Cuts the node off from all others; both sides drop what they would say to each other.
  [[nodiscard]] Result<void> isolate(const std::string& node);
  [[nodiscard]] Result<void> slow_disk(const std::string& node, std::chrono::milliseconds delay);
  // No cuts and no slow disks any more.
  [[nodiscard]] Result<void> heal();
  [[nodiscard]] std::vector<std::string> endpoints() const;

 private:
  struct Node {
    std::string name;
    pid_t pid = -1;
    std::uint16_t client = 0;
    std::uint16_t peer = 0;
    std::uint16_t http = 0;
    std::set<std::string> cut;
    std::chrono::milliseconds sync_delay{0};
  };

  explicit Nodes(NodesOptions options) : options_(std::move(options)) {}
  Result<void> write_files();
  [[nodiscard]] Node* find(const std::string& node);
  [[nodiscard]] bool runs(Node& node);
  void tell_faults();
  void tell_faults(Node& node);
  [[nodiscard]] std::filesystem::path file(const Node& node, const char* suffix) const;

  const NodesOptions options_;
  mutable std::mutex mutex_;
  std::vector<Node> nodes_;
};

// Ports of 127.0.0.1 that nobody listens at now, below those that Linux hands out by itself, so that they stay free.
[[nodiscard]] std::vector<std::uint16_t> free_ports(std::size_t count, std::uint16_t first);

}  // namespace assent::dev
