#include "dev/nodes.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <httplib.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>

namespace assent::dev {
namespace {

using std::chrono::milliseconds;

constexpr auto end_patience = std::chrono::seconds(6);
constexpr std::uint16_t ports_from = 20'000;
constexpr std::uint16_t ports_to = 32'000;

bool is_free(std::uint16_t port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const bool free = bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 && listen(fd, 1) == 0;
  close(fd);
  return free;
}

std::string local(std::uint16_t port) { return fmt::format("127.0.0.1:{}", port); }

bool write_file(const std::filesystem::path& path, const std::string& text) {
  std::ofstream out(path, std::ios::trunc);
  out << text;
  return static_cast<bool>(out);
}

}  // namespace

std::vector<std::uint16_t> free_ports(std::size_t count, std::uint16_t first) {
  std::vector<std::uint16_t> ports;
  // The wanted ones first; then anywhere, beginning at a place that differs from process to process.
  std::uint16_t next = first;
  const auto span = static_cast<std::uint32_t>(ports_to - ports_from);
  std::uint32_t at = static_cast<std::uint32_t>(getpid()) * 37 % span;
  for (std::uint32_t tries = 0; ports.size() < count && tries < span; ++tries) {
    if (is_free(next)) ports.push_back(next);
    if (tries < count) {
      ++next;
      continue;
    }
    next = static_cast<std::uint16_t>(ports_from + at);
    at = (at + 1) % span;
  }
  return ports;
}

Result<std::unique_ptr<Nodes>> Nodes::make(NodesOptions options) {
  std::unique_ptr<Nodes> nodes(new Nodes(std::move(options)));
  const std::vector<std::uint16_t> ports = free_ports(3 * names.size(), 7430);
  if (ports.size() < 3 * names.size()) return fail(ErrorCode::io, "there are not enough free ports on 127.0.0.1");
  for (std::size_t i = 0; i < names.size(); ++i) {
    Node& node = nodes->nodes_.emplace_back();
    node.name = names[i];
    node.client = ports[3 * i];
    node.peer = ports[3 * i + 1];
    node.http = ports[3 * i + 2];
  }
  if (auto written = nodes->write_files(); !written) return fail(written.error());
  return nodes;
}

Result<void> Nodes::write_files() {
  const auto cannot = [&](const std::filesystem::path& path) {
    return fail(ErrorCode::io, fmt::format("cannot write {}; name another folder with --dir", path.string()));
  };
  std::string peers;
  std::string clients;
  for (const Node& node : nodes_) {
    peers += fmt::format("{}{}: \"{}\"", peers.empty() ? "" : ", ", node.name, local(node.peer));
    clients += fmt::format("{}{}: \"{}\"", clients.empty() ? "" : ", ", node.name, local(node.client));
  }
  std::error_code error;
  std::filesystem::create_directories(options_.directory, error);
  const auto tokens = options_.directory / "tokens";
  if (!write_file(tokens, options_.token + "\n")) return cannot(tokens);
  std::filesystem::permissions(tokens, std::filesystem::perms::owner_read | std::filesystem::perms::owner_write, error);
  for (const Node& node : nodes_) {
    const std::string text = fmt::format(
        "node: {{ name: {}, data_dir: \"{}\" }}\n"
        "listen: {{ client: \"{}\", peer: \"{}\", http: \"{}\" }}\n"
        "cluster:\n  name: dev\n  peers: {{ {} }}\n  clients: {{ {} }}\n  groups:\n"
        "    - {{ id: c0, role: coordinator, members: [n1, n2, n3] }}\n"
        "    - {{ id: s1, role: shard, members: [n1, n2, n3] }}\n"
        "    - {{ id: s2, role: shard, members: [n1, n2, n3] }}\n"
        "auth: {{ admin_tokens_file: \"{}\" }}\n"
        "dev: {{ faults: on }}\n",
        node.name, (options_.directory / node.name).string(), local(node.client), local(node.peer), local(node.http),
        peers, clients, tokens.string());
    if (!write_file(file(node, ".yaml"), text)) return cannot(file(node, ".yaml"));
  }
  return {};
}

Nodes::~Nodes() {
  const std::lock_guard lock(mutex_);
  for (Node& node : nodes_) {
    if (runs(node)) ::kill(node.pid, SIGTERM);
  }
  const auto until = std::chrono::steady_clock::now() + end_patience;
  for (Node& node : nodes_) {
    while (runs(node) && std::chrono::steady_clock::now() < until) std::this_thread::sleep_for(milliseconds(20));
    if (!runs(node)) continue;
    ::kill(node.pid, SIGKILL);
    waitpid(node.pid, nullptr, 0);
  }
}

std::filesystem::path Nodes::file(const Node& node, const char* suffix) const {
  return options_.directory / (node.name + suffix);
}

Nodes::Node* Nodes::find(const std::string& node) {
  const auto found = std::find_if(nodes_.begin(), nodes_.end(), [&](const Node& one) { return one.name == node; });
  return found == nodes_.end() ? nullptr : &*found;
}

bool Nodes::runs(Node& node) {
  if (node.pid > 0 && waitpid(node.pid, nullptr, WNOHANG) != 0) node.pid = -1;
  return node.pid > 0;
}

std::vector<NodeView> Nodes::view() {
  const std::lock_guard lock(mutex_);
  std::vector<NodeView> out;
  for (Node& node : nodes_) {
    out.push_back({.name = node.name,
                   .running = runs(node),
                   .cut = node.cut,
                   .sync_delay = node.sync_delay,
                   .client = local(node.client),
                   .http = local(node.http),
                   .log = file(node, ".log")});
  }
  return out;
}

std::vector<std::string> Nodes::endpoints() const {
  std::vector<std::string> out;
  for (const Node& node : nodes_) out.push_back(local(node.client));
  return out;
}

Result<void> Nodes::start(const std::string& name) {
  const std::lock_guard lock(mutex_);
  Node* node = find(name);
  if (node == nullptr) return fail(ErrorCode::not_found, fmt::format("there is no node \"{:.63}\"", name));
  if (runs(*node)) return fail(ErrorCode::refused, name + " runs already");
  const std::string config = file(*node, ".yaml").string();
  const std::string log = file(*node, ".log").string();
  const pid_t parent = getpid();
  const pid_t child = fork();
  if (child < 0) return fail(ErrorCode::io, "cannot start another process");
  if (child == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(127);
    setpgid(0, 0);  // a key on the terminal is for the one that watches over it
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
    const int out = open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    const int in = open("/dev/null", O_RDONLY | O_CLOEXEC);
    dup2(in, STDIN_FILENO);
    dup2(out, STDOUT_FILENO);
    dup2(out, STDERR_FILENO);
    execl(options_.program.c_str(), options_.program.c_str(), "start", "--config", config.c_str(), nullptr);
    _exit(127);
  }
  node->pid = child;
  if (!node->cut.empty() || node->sync_delay.count() > 0) {
    // Once it listens; it is not long until then, and a node that does not come up says so by its absence.
    for (int tries = 0; tries < 100; ++tries) {
      httplib::Client http("127.0.0.1", node->http);
      if (const auto answer = http.Get("/livez"); answer && answer->status == 200) break;
      std::this_thread::sleep_for(milliseconds(50));
    }
    tell_faults(*node);
  }
  return {};
}

Result<void> Nodes::kill(const std::string& name) {
  const std::lock_guard lock(mutex_);
  Node* node = find(name);
  if (node == nullptr) return fail(ErrorCode::not_found, fmt::format("there is no node \"{:.63}\"", name));
  if (!runs(*node)) return fail(ErrorCode::refused, name + " does not run");
  ::kill(node->pid, SIGKILL);
  waitpid(node->pid, nullptr, 0);
  node->pid = -1;
  return {};
}

Result<void> Nodes::isolate(const std::string& name) {
  const std::lock_guard lock(mutex_);
  Node* alone = find(name);
  if (alone == nullptr) return fail(ErrorCode::not_found, fmt::format("there is no node \"{:.63}\"", name));
  for (Node& other : nodes_) {
    if (other.name == name) continue;
    other.cut.insert(name);
    alone->cut.insert(other.name);
  }
  tell_faults();
  return {};
}

Result<void> Nodes::slow_disk(const std::string& name, milliseconds delay) {
  const std::lock_guard lock(mutex_);
  Node* node = find(name);
  if (node == nullptr) return fail(ErrorCode::not_found, fmt::format("there is no node \"{:.63}\"", name));
  node->sync_delay = delay;
  tell_faults();
  return {};
}

Result<void> Nodes::heal() {
  const std::lock_guard lock(mutex_);
  for (Node& node : nodes_) {
    node.cut.clear();
    node.sync_delay = milliseconds(0);
  }
  tell_faults();
  return {};
}

void Nodes::tell_faults() {
  for (Node& node : nodes_) {
    if (runs(node)) tell_faults(node);
  }
}

void Nodes::tell_faults(Node& node) {
  httplib::Client http("127.0.0.1", node.http);
  http.set_read_timeout(3);
  const nlohmann::json body{{"cut", node.cut}, {"syncDelayMillis", node.sync_delay.count()}};
  // A node that is just ending is told when it is started again.
  static_cast<void>(http.Post("/api/v1/dev/faults", {{"Authorization", "Bearer " + options_.token}}, body.dump(),
                              "application/json"));
}

}  // namespace assent::dev
