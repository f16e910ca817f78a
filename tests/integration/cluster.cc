#include "tests/integration/cluster.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <set>
#include <sstream>
#include <thread>

namespace assent::testing {
namespace {

using namespace std::chrono_literals;

std::string read_file(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

int status_of(int raw) { return WIFSIGNALED(raw) ? 128 + WTERMSIG(raw) : WEXITSTATUS(raw); }

}  // namespace

TestFolder::TestFolder(std::string_view name) {
  std::string pattern = (std::filesystem::temp_directory_path() / fmt::format("assent-{}.XXXXXX", name)).string();
  if (::mkdtemp(pattern.data()) == nullptr) ADD_FAILURE() << "no temporary folder " << pattern;
  path_ = pattern;
}

TestFolder::~TestFolder() {
  if (::testing::Test::HasFailure()) {
    fmt::print(stderr, "the test's files are kept in {}\n", path_.string());
    return;
  }
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

// ---- processes ----

Process::Process(std::vector<std::string> command, const std::filesystem::path& output) {
  std::vector<char*> arguments;
  arguments.reserve(command.size() + 1);
  for (std::string& word : command) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  const int out = ::open(output.c_str(), O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC, 0600);
  const int in = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  pid_ = ::fork();
  if (pid_ == 0) {
    ::dup2(in, 0);
    ::dup2(out, 1);
    ::dup2(out, 2);
    ::execv(arguments[0], arguments.data());
    ::_exit(127);
  }
  ::close(out);
  ::close(in);
}

Process::~Process() {
  if (!running()) return;
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
}

void Process::signal(int number) {
  if (running()) ::kill(pid_, number);
}

bool Process::running() {
  if (status_ || pid_ <= 0) return false;
  int raw = 0;
  if (::waitpid(pid_, &raw, WNOHANG) == 0) return true;
  status_ = status_of(raw);
  return false;
}

std::optional<int> Process::wait(std::chrono::milliseconds at_most) {
  if (!eventually(at_most, [this] { return !running(); })) return std::nullopt;
  return status_;
}

std::string program(std::string_view name) { return fmt::format("{}/{}", ASSENT_BIN_DIR, name); }

CommandResult run_command(std::vector<std::string> command, std::chrono::milliseconds at_most) {
  const TestFolder folder("command");
  const auto output = folder.path() / "output";
  Process process(std::move(command), output);
  CommandResult result;
  result.status = process.wait(at_most).value_or(124);
  result.output = read_file(output);
  return result;
}

// ---- the cluster ----

Cluster::Cluster(std::string_view name, ClusterOptions options) : folder_(name), options_(std::move(options)) {
  for (const auto& members : {options_.s1_nodes, options_.coordinator_nodes, options_.s2_nodes, options_.spare_nodes}) {
    for (const std::string& node : members) {
      if (std::find(all_.begin(), all_.end(), node) == all_.end()) all_.push_back(node);
    }
  }
  for (const std::string_view node : all_) {
    const auto chosen = options_.client_ports.find(std::string(node));
    client_ports_[std::string(node)] = chosen == options_.client_ports.end() ? free_port() : chosen->second;
    const auto through = options_.peers_through.find(std::string(node));
    peer_ports_[std::string(node)] = through == options_.peers_through.end() ? free_port() : through->second.second;
    http_ports_[std::string(node)] = free_port();
  }
  for (const std::string_view node : all_) write_configuration(node);
  for (const std::string& node : options_.later_nodes) {
    client_ports_[node] = free_port();
    peer_ports_[node] = free_port();
    http_ports_[node] = free_port();
  }
}

void Cluster::write_configuration(std::string_view node) {
  std::vector<std::string> peers;
  std::vector<std::string> clients;
  for (const std::string_view other : all_) {
    const auto advertised = options_.advertised.find(std::string(other));
    const auto through = options_.peers_through.find(std::string(other));
    const bool direct = other == node || through == options_.peers_through.end();
    peers.push_back(fmt::format("{}: \"{}\"", other, direct ? peer_address(other) : through->second.first));
    clients.push_back(fmt::format(
        "{}: \"{}\"", other, advertised == options_.advertised.end() ? client_address(other) : advertised->second));
  }
  std::ofstream(config_of(node)) << fmt::format(
      "node: {{ name: {}, data_dir: \"{}\" }}\n"
      "listen: {{ client: \"{}\", peer: \"{}\", http: \"{}\" }}\n"
      "cluster:\n"
      "  name: test\n"
      "  peers: {{ {} }}\n"
      "  clients: {{ {} }}\n"
      "  groups:\n"
      "    - {{ id: c0, role: coordinator, members: [{}] }}\n"
      "    - {{ id: s1, role: shard, members: [{}] }}\n"
      "    - {{ id: s2, role: shard, members: [{}] }}\n"
      "{}",
      node, data_of(node).string(), client_address(node), peer_address(node), http_address(node),
      fmt::join(peers, ", "), fmt::join(clients, ", "), fmt::join(options_.coordinator_nodes, ", "),
      fmt::join(options_.s1_nodes, ", "), fmt::join(options_.s2_nodes, ", "), options_.extra_yaml);
}

void Cluster::run_under(std::string_view node, std::vector<std::string> command) {
  wrappers_[std::string(node)] = std::move(command);
}

void Cluster::use_program(std::string_view node, std::string name) { programs_[std::string(node)] = std::move(name); }

void Cluster::start(std::string_view node, const std::vector<std::string>& flags) {
  std::vector<std::string> command = wrappers_[std::string(node)];
  const auto chosen = programs_.find(node);
  command.insert(command.end(), {program(chosen == programs_.end() ? "assentd" : chosen->second), "start", "--config",
                                 config_of(node)});
  command.insert(command.end(), flags.begin(), flags.end());
  processes_[std::string(node)] =
      std::make_unique<Process>(std::move(command), folder_.path() / fmt::format("{}.log", node));
}

void Cluster::start_joining(std::string_view node, std::string_view by) {
  const std::vector<std::string> command{program("assentd"), "start",           "--node.name",   std::string(node),
                                         "--node.data-dir",  data_of(node),     "--listen.http", http_address(node),
                                         "--join",           client_address(by)};
  processes_[std::string(node)] = std::make_unique<Process>(command, folder_.path() / fmt::format("{}.log", node));
}

void Cluster::start_all() {
  for (const std::string_view node : all_) start(node);
}

void Cluster::kill(std::string_view node) {
  process(node).signal(SIGKILL);
  EXPECT_TRUE(process(node).wait(10s)) << node << " outlives SIGKILL";
}

void Cluster::kill(const std::vector<std::string>& victims) {
  for (const std::string& node : victims) process(node).signal(SIGKILL);
  for (const std::string& node : victims) EXPECT_TRUE(process(node).wait(10s)) << node << " outlives SIGKILL";
}

void Cluster::kill_all() { kill(all_); }

void Cluster::stop(std::string_view node) {
  process(node).signal(SIGTERM);
  EXPECT_EQ(process(node).wait(30s), 0) << node << ": " << log_of(node);
}

void Cluster::pause(std::string_view node) { process(node).signal(SIGSTOP); }
void Cluster::resume(std::string_view node) { process(node).signal(SIGCONT); }

Process& Cluster::process(std::string_view node) { return *processes_.find(node)->second; }

std::string Cluster::log_of(std::string_view node) const {
  return read_file(folder_.path() / fmt::format("{}.log", node));
}

std::string Cluster::at_host_of(std::string_view node, std::uint16_t port) const {
  const auto host = options_.hosts.find(std::string(node));
  return fmt::format("{}:{}", host == options_.hosts.end() ? "127.0.0.1" : host->second, port);
}

std::string Cluster::client_address(std::string_view node) const {
  return at_host_of(node, client_ports_.find(node)->second);
}

std::string Cluster::peer_address(std::string_view node) const {
  return at_host_of(node, peer_ports_.find(node)->second);
}

std::string Cluster::http_address(std::string_view node) const {
  return at_host_of(node, http_ports_.find(node)->second);
}

std::filesystem::path Cluster::config_of(std::string_view node) const {
  return folder_.path() / fmt::format("{}.yaml", node);
}

std::filesystem::path Cluster::data_of(std::string_view node) const {
  const auto elsewhere = options_.data_dirs.find(std::string(node));
  return elsewhere == options_.data_dirs.end() ? folder_.path() / node : elsewhere->second;
}

std::vector<std::string> Cluster::endpoints() const {
  std::vector<std::string> all;
  for (const std::string_view node : all_) {
    const auto advertised = options_.advertised.find(std::string(node));
    all.push_back(advertised == options_.advertised.end() ? client_address(node) : advertised->second);
  }
  return all;
}

std::string Cluster::endpoint_list() const { return fmt::format("{}", fmt::join(endpoints(), ",")); }

client::Client Cluster::connect(client::Options options) const {
  if (options.endpoints.empty()) options.endpoints = endpoints();
  return *client::Client::connect(std::move(options));
}

bool Cluster::wait_for_leaders() {
  client::Client client = connect();
  return eventually(30s, [&] {
    const auto status = client.status();
    if (!status || status->groups.size() != 3) return false;
    for (const auto& group : status->groups) {
      if (group.leader.empty()) return false;
    }
    return true;
  });
}

std::string Cluster::leader_of(std::string_view group) {
  client::Client client = connect();
  std::string leader;
  static_cast<void>(eventually(30s, [&] {
    const auto status = client.status();
    const auto* view = status ? status->group(group) : nullptr;
    if (view != nullptr) leader = view->leader;
    return !leader.empty();
  }));
  return leader;
}

}  // namespace assent::testing
