// Real assentd processes for a test, on loopback or in a network of its own (network.h): made, signalled and ended by
// it, with their data in a folder that is removed when the test passed. Not thread-safe.
#pragma once

#include <sys/types.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "client/client.h"
#include "tests/local.h"

namespace assent::testing {

// A folder under the system's temporary one, removed at the end unless the test failed.
class TestFolder {
 public:
  explicit TestFolder(std::string_view name);
  ~TestFolder();
  TestFolder(const TestFolder&) = delete;
  TestFolder& operator=(const TestFolder&) = delete;
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

// One child process. Its end by anything but this object is a failure that the test sees in exit_status().
class Process {
 public:
  Process(std::vector<std::string> command, const std::filesystem::path& output);
  ~Process();  // SIGKILL when it still runs
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  void signal(int number);
  // Waits for the end; nullopt when it does not come in time. A signal's number counts as 128 + number, as in a shell.
  [[nodiscard]] std::optional<int> wait(std::chrono::milliseconds at_most);
  [[nodiscard]] bool running();
  [[nodiscard]] pid_t pid() const { return pid_; }

 private:
  pid_t pid_ = -1;
  std::optional<int> status_;
};

// What a command printed and how it ended.
struct CommandResult {
  int status = -1;
  std::string output;  // standard output and standard error
};
[[nodiscard]] CommandResult run_command(std::vector<std::string> command,
                                        std::chrono::milliseconds at_most = std::chrono::seconds(30));
// A program of this build: assentd, assentctl.
[[nodiscard]] std::string program(std::string_view name);

struct ClusterOptions {
  // Where clients are told to find a node; empty: the node itself. For proxies.
  std::map<std::string, std::string> advertised;
  std::map<std::string, std::uint16_t> client_ports;  // of nodes whose port must be known before; others: a free one
  // Where the other nodes are told to find a node, and the port that it listens at then. For proxies.
  std::map<std::string, std::pair<std::string, std::uint16_t>> peers_through;
  std::map<std::string, std::string> hosts;                      // addresses of nodes; others: 127.0.0.1
  std::string extra_yaml;                                        // appended to each node's file
  std::vector<std::string> coordinator_nodes{"n1", "n2", "n3"};  // where c0 lives; may be others than the shards'
  std::vector<std::string> s1_nodes{"n1", "n2", "n3"};           // where s1 lives
  std::vector<std::string> s2_nodes{"n1", "n2", "n3"};           // where s2 lives
  std::vector<std::string> spare_nodes;                          // that belong to no group at first
  std::vector<std::string> later_nodes;                          // that no configuration names: start_joining()
  std::map<std::string, std::filesystem::path> data_dirs;        // of nodes whose data lies elsewhere
};

// Coordinator c0 and shards s1, s2, all on the same three nodes unless the options say otherwise.
class Cluster {
 public:
  explicit Cluster(std::string_view name, ClusterOptions options = {});

  static constexpr std::array<std::string_view, 3> nodes{"n1", "n2", "n3"};

  // The node's next starts are run by this command, which ends in the node itself: `env`, `strace -D`. Empty: no more.
  void run_under(std::string_view node, std::vector<std::string> command);
  // The node's next starts are of this program of the build; at first "assentd".
  void use_program(std::string_view node, std::string name);
  void start(std::string_view node, const std::vector<std::string>& flags = {});
  void start_all();
  // One of later_nodes, which asks `by` for the cluster.
  void start_joining(std::string_view node, std::string_view by);
  void kill(std::string_view node);                    // SIGKILL, and waits for its end
  void kill(const std::vector<std::string>& victims);  // all of them before waiting for any
  void kill_all();
  void stop(std::string_view node);    // SIGTERM, expects status 0
  void pause(std::string_view node);   // SIGSTOP
  void resume(std::string_view node);  // SIGCONT
  [[nodiscard]] Process& process(std::string_view node);
  [[nodiscard]] std::string log_of(std::string_view node) const;
  [[nodiscard]] std::string client_address(std::string_view node) const;
  [[nodiscard]] std::string peer_address(std::string_view node) const;
  [[nodiscard]] std::string http_address(std::string_view node) const;
  [[nodiscard]] std::filesystem::path config_of(std::string_view node) const;
  [[nodiscard]] std::filesystem::path data_of(std::string_view node) const;
  [[nodiscard]] std::vector<std::string> endpoints() const;
  [[nodiscard]] std::string endpoint_list() const;  // comma-separated
  [[nodiscard]] client::Client connect(client::Options options = {}) const;

  // Every group has a leader that is ready, seen within 30 s.
  [[nodiscard]] bool wait_for_leaders();
  [[nodiscard]] std::string leader_of(std::string_view group);

 private:
  void write_configuration(std::string_view node);
  [[nodiscard]] std::string at_host_of(std::string_view node, std::uint16_t port) const;

  TestFolder folder_;
  ClusterOptions options_;
  std::vector<std::string> all_;  // nodes, of shards and of the coordinator, those of s1 first
  std::map<std::string, std::uint16_t, std::less<>> client_ports_;
  std::map<std::string, std::uint16_t, std::less<>> peer_ports_;
  std::map<std::string, std::uint16_t, std::less<>> http_ports_;
  std::map<std::string, std::vector<std::string>, std::less<>> wrappers_;
  std::map<std::string, std::string, std::less<>> programs_;
  std::map<std::string, std::unique_ptr<Process>, std::less<>> processes_;
};

}  // namespace assent::testing
