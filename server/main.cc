// assentd: start | check-config | inspect | verify | recover | dev | version. Exit codes: 0 ended as asked, 1 an error,
// 2 usage or configuration, 8 refused for safety.
#include <fmt/format.h>
#include <poll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <system_error>
#include <vector>

#include "base/protocol_level.h"
#include "dev/dev.h"
#include "server/config.h"
#include "server/daemon.h"
#include "server/foreign_logs.h"
#include "server/inspect_command.h"
#include "server/join.h"
#include "server/log.h"
#include "server/map_config.h"
#include "server/recovery.h"
#include "server/verify_command.h"
#include "server/version.h"
#include "sql_adapter/process_settings.h"

namespace {

using namespace assent;

constexpr int exit_error = 1;
constexpr int exit_usage = 2;
constexpr int exit_refused = 8;
constexpr auto join_patience = std::chrono::seconds(60);

void say_error(const std::string& text) { fmt::print(stderr, "assentd: {}\n", text); }

// ---- configuration ----

struct ConfigArguments {
  std::string file;
  std::map<std::string, std::string> flags;
  bool print = false;
  bool rejoin = false;
  std::string join;
  std::uint64_t generation = 0;
};

void add_config_options(CLI::App& command, ConfigArguments& arguments) {
  command.add_option("-c,--config", arguments.file, "YAML file; also ASSENT_CONFIG")->type_name("FILE");
  for (const ConfigKeyInfo& key : config_keys()) {
    std::string names = key.flag;
    if (key.flag != "--" + key.key) names += ",--" + key.key;
    if (key.key == "node.loops") names += ",--loops";
    const std::string shown = key.default_text.empty() ? key.help : fmt::format("{} [{}]", key.help, key.default_text);
    command
        .add_option_function<std::string>(
            names, [&arguments, name = key.key](const std::string& value) { arguments.flags[name] = value; }, shown)
        ->type_name("")
        ->group("Configuration (flag, then environment, then file, then default)");
  }
}

std::map<std::string, std::string> environment_of(std::string_view prefix) {
  std::map<std::string, std::string> variables;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string text = *entry;
    const std::size_t equals = text.find('=');
    if (text.starts_with(prefix) && equals != std::string::npos)
      variables[text.substr(0, equals)] = text.substr(equals + 1);
  }
  return variables;
}

std::string host_name() {
  std::array<char, 256> name{};
  if (gethostname(name.data(), name.size() - 1) != 0) return "n1";
  std::string text = name.data();
  return text.substr(0, text.find('.'));
}

std::optional<std::string> read_file(const std::string& path) {
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored)) {
    errno = EISDIR;
    return std::nullopt;
  }
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  if (!file || (file.peek() != std::ifstream::traits_type::eof() && !(text << file.rdbuf()))) return std::nullopt;
  return text.str();
}

std::optional<LoadedConfig> load(const ConfigArguments& arguments) {
  ConfigSources sources{.flags = arguments.flags,
                        .environment = environment_of("ASSENT_"),
                        .file = {},
                        .file_name = arguments.file,
                        .host_name = host_name()};
  if (sources.file_name.empty() && sources.environment.contains("ASSENT_CONFIG"))
    sources.file_name = sources.environment["ASSENT_CONFIG"];
  if (!sources.file_name.empty()) {
    errno = 0;
    sources.file = read_file(sources.file_name);
    if (!sources.file) {
      say_error(fmt::format("cannot read the configuration file {}: {}; name an existing file with --config",
                            sources.file_name,
                            errno == 0 ? std::string("it is not a file") : std::system_category().message(errno)));
      return std::nullopt;
    }
  }
  auto loaded = load_config(sources);
  if (!loaded) {
    for (const ConfigProblem& problem : loaded.error()) say_error(problem.text());
    return std::nullopt;
  }
  return std::move(*loaded);
}

void print_config(const LoadedConfig& loaded) {
  std::size_t key_width = 0;
  for (const auto& line : loaded.lines) key_width = std::max(key_width, line.key.size());
  for (const auto& line : loaded.lines) fmt::print("{:<{}}  {}  ({})\n", line.key, key_width, line.value, line.origin);
}

// ---- start ----

// Signals are taken from a descriptor, so no thread is ever interrupted.
int block_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  return signalfd(-1, &signals, SFD_CLOEXEC);
}

// A second signal ends the process at once.
void unblock_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_UNBLOCK, &signals, nullptr);
}

void wait_for_end(int signals, const Daemon& daemon) {
  std::array<pollfd, 2> waiting{pollfd{.fd = signals, .events = POLLIN, .revents = 0},
                                pollfd{.fd = daemon.failure_event(), .events = POLLIN, .revents = 0}};
  while (poll(waiting.data(), waiting.size(), -1) < 0 && errno == EINTR) {
  }
  if (waiting[0].revents == 0) return;
  signalfd_siginfo info{};
  if (read(signals, &info, sizeof info) != sizeof info) return;
  LogEvent(LogLevel::info, "node", "asked to stop")
      .field("signal", info.ssi_signo == SIGINT ? "SIGINT" : "SIGTERM")
      .write();
}

// What another node says of the cluster takes the place of what no configuration says. Nobody is asked when this node
// has a map of its own already.
Result<void> join(const std::string& endpoint, const LoadedConfig& loaded, ServerConfig& config) {
  const auto by_default = [&loaded](std::string_view key) {
    const auto line = std::find_if(loaded.lines.begin(), loaded.lines.end(),
                                   [key](const LoadedConfig::Line& one) { return one.key == key; });
    return line == loaded.lines.end() || line->origin == "default";
  };
  config.rejoin = true;  // with an empty directory a member that nobody knows, whatever this name had promised before
  auto kept = load_map(config.data_dir);
  if (!kept) return fail(kept.error());
  JoinedCluster cluster;
  if (*kept) {
    cluster = {(*kept)->cluster, config.generation, std::move((*kept)->map)};
  } else {
    auto asked = ask_for_cluster(endpoint, join_patience);
    if (!asked) return fail(asked.error());
    cluster = std::move(*asked);
    config.generation = cluster.generation;
  }
  if (!by_default("cluster.name") && config.cluster_name != cluster.cluster) {
    return fail(ErrorCode::refused, fmt::format("--join: the cluster at {} is \"{}\", and cluster.name says \"{}\"",
                                                endpoint, cluster.cluster, config.cluster_name));
  }
  const MapNode* const self = cluster.map.node(config.node_name);
  if (self == nullptr && !*kept) {
    return fail(ErrorCode::refused,
                fmt::format("--join: {0} is no node of the cluster at {1}; give there first: assentctl cluster add {0} "
                            "--peer HOST:PORT --client HOST:PORT",
                            config.node_name, endpoint));
  }
  config.cluster_name = cluster.cluster;
  if (self != nullptr && by_default("listen.peer")) {
    if (const auto address = parse_endpoint(self->peer)) config.listen_peer = *address;
  }
  if (self != nullptr && by_default("listen.client")) {
    if (const auto address = parse_endpoint(self->client)) config.listen_client = *address;
  }
  config.joined = std::move(cluster.map);
  return {};
}

int run_start(const ConfigArguments& arguments) {
  const std::optional<LoadedConfig> loaded = load(arguments);
  if (!loaded) return exit_usage;
  if (arguments.print) {
    print_config(*loaded);
    return 0;
  }
  ServerConfig config = loaded->config;
  if (arguments.generation != 0 && !arguments.rejoin) {
    say_error("--generation is for a node that comes back with an empty data directory: give --rejoin, too");
    return exit_usage;
  }
  config.rejoin = arguments.rejoin;
  config.generation = arguments.generation;
  if (!arguments.join.empty()) {
    if (auto joined = join(arguments.join, *loaded, config); !joined) {
      say_error(joined.error().message);
      return joined.error().code == ErrorCode::refused ? exit_refused : exit_error;
    }
  }
  const bool json = config.log_format == "json" || (config.log_format == "auto" && isatty(STDERR_FILENO) == 0);
  set_up_log({.level = log_level_of(config.log_level), .json = json, .node = config.node_name, .sink = {}});
  route_foreign_logs();
  for (const std::string& warning : loaded->warnings) LogEvent(LogLevel::warn, "config", warning).write();
  const int signals = block_signals();
  TraceOptions traces = trace_options(config, environment_of("OTEL_"));
  traces.resource.service_version = std::string(version);
  traces.resource.more.emplace_back("host.name", host_name());
  for (const std::string& warning : traces.warnings) LogEvent(LogLevel::warn, "trace", warning).write();
  auto daemon = Daemon::open(config, traces);
  if (!daemon) {
    LogEvent(LogLevel::error, "node", "cannot start")
        .field("code", to_string(daemon.error().code))
        .field("error", daemon.error().message)
        .write();
    return exit_error;
  }
  wait_for_end(signals, **daemon);
  unblock_signals();
  (*daemon)->stop();
  return (*daemon)->failure() ? exit_error : 0;
}

int run_check_config(const ConfigArguments& arguments) {
  const std::optional<LoadedConfig> loaded = load(arguments);
  if (!loaded) return exit_usage;
  if (arguments.print) print_config(*loaded);
  for (const std::string& warning : loaded->warnings) fmt::print("warning: {}\n", warning);
  fmt::print("the configuration is good: node {} of cluster {}, {} nodes, {} groups\n", loaded->config.node_name,
             loaded->config.cluster_name, loaded->config.peers.size(), loaded->config.groups.size());
  return 0;
}

int run_inspect(const std::string& folder, std::size_t entries) {
  const Result<Inspection> inspection = inspect_directory(folder, entries);
  if (!inspection) {
    say_error(inspection.error().message);
    return exit_error;
  }
  fmt::print("{}", inspection->text);
  return inspection->damaged() ? exit_error : 0;
}

int run_verify(const std::string& folder) {
  const Result<Verification> verification = verify_directory(folder);
  if (!verification) {
    say_error(verification.error().message);
    return exit_error;
  }
  fmt::print("{}", verification->text);
  return verification->sound ? 0 : exit_error;
}

int run_recover(const ConfigArguments& arguments, const RecoveryOptions& options) {
  std::optional<LoadedConfig> loaded = load(arguments);
  if (!loaded) return exit_usage;
  if (const auto kept = load_map(loaded->config.data_dir); kept && *kept) {
    loaded->config = with_map(std::move(loaded->config), (*kept)->map);
  }
  const Result<RecoveryReport> report = recover_node(loaded->config, options);
  if (!report) {
    say_error(report.error().message);
    if (report.error().code == ErrorCode::malformed) return exit_usage;
    return report.error().code == ErrorCode::refused ? exit_refused : exit_error;
  }
  fmt::print("{}", report->text);
  return report->done ? 0 : exit_refused;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("A node of an Assent cluster: transactions over several shards that happen everywhere or nowhere.",
               "assentd");
  app.require_subcommand(1);
  ConfigArguments arguments;
  CLI::App* const start = app.add_subcommand("start", "run a node until SIGTERM");
  add_config_options(*start, arguments);
  start->add_flag("--print-config", arguments.print, "print every value with where it came from, and end");
  start->add_flag("--rejoin", arguments.rejoin,
                  "the node lost its data directory: begin with an empty one, as a member that votes nowhere until "
                  "'assentctl group replace' takes it in");
  start
      ->add_option("--generation", arguments.generation,
                   "with --rejoin: of the cluster, which was recovered by force; its nodes' logs tell it")
      ->type_name("N");
  start
      ->add_option("--join", arguments.join,
                   "the client address of a node of the cluster that this one was added to (assentctl cluster add): it "
                   "tells all that no configuration says. The flag may stay")
      ->type_name("HOST:PORT")
      ->excludes("--rejoin");
  CLI::App* const recover = app.add_subcommand(
      "recover", "a majority is lost for good: let groups go on with this stopped node alone; docs/OPERATIONS.md");
  add_config_options(*recover, arguments);
  RecoveryOptions recovery;
  recover->add_flag("--force", recovery.force, "do it; without, say what would be done");
  recover->add_option("--group", recovery.groups, "only these, each on one node only; again for more")->type_name("G");
  recover->add_flag("--no-groups", recovery.no_groups, "join the next generation, and recover no group here")
      ->excludes("--group");
  CLI::App* const check = app.add_subcommand("check-config", "judge a configuration; exit 2 when it is bad");
  add_config_options(*check, arguments);
  check->add_flag("--print-config", arguments.print, "print every value with where it came from");
  CLI::App* const inspect =
      app.add_subcommand("inspect", "say in plain words what a data directory holds; the node must not run");
  std::string folder;
  std::size_t entries = 20;
  inspect->add_option("DIR", folder, "a node's data_dir")->required();
  inspect->add_option("--entries", entries, "newest log entries of each group to show");
  CLI::App* const verify = app.add_subcommand(
      "verify",
      "read everything in a data directory, and say what is damaged; exit 1 when anything is; the node must not run");
  verify->add_option("DIR", folder, "a node's data_dir")->required();
  CLI::App* const dev = app.add_subcommand(
      "dev", "a whole cluster on this machine, with dashboard and a bank on it, to look at and to break");
  dev::DevOptions development{.program = "/proc/self/exe", .directory = {}};
  dev->add_option("--dir", development.directory, "folder that keeps its data; without, it is removed at the end");
  dev->add_option("--http", development.http, "port of the dashboard; another one when it is taken [7422]");
  dev->add_option("--clients", development.clients, "of the bank [4]")->check(CLI::Range(0, 100));
  app.add_subcommand("version", "print the version");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : exit_usage;
  }
  sql::settle_process();
  if (start->parsed()) {
    try {
      return run_start(arguments);
    } catch (const std::system_error& error) {  // a thread cannot be started
      fmt::print(stderr, "assentd: {}: raise the limits on threads and memory (ulimit -u, cgroup pids.max)\n",
                 error.what());
      return 1;
    }
  }
  if (recover->parsed()) return run_recover(arguments, recovery);
  if (check->parsed()) return run_check_config(arguments);
  if (dev->parsed()) {
    std::error_code ignored;
    const auto self = std::filesystem::read_symlink("/proc/self/exe", ignored);
    if (!self.empty()) development.program = self.string();
    return dev::run_dev(development);
  }
  if (verify->parsed()) return run_verify(folder);
  if (inspect->parsed()) return run_inspect(folder, entries);
  fmt::print("assentd {} (protocol level {})\n", version, protocol_level());
  return 0;
}
