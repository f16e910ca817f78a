#include "dev/dev.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>

#include "dev/front.h"
#include "server/log.h"

namespace assent::dev {
namespace {

constexpr int exit_error = 1;

// Keys arrive one by one while this lives, when standard input is a terminal.
class Keyboard {
 public:
  Keyboard() {
    if (isatty(STDIN_FILENO) == 0 || tcgetattr(STDIN_FILENO, &before_) != 0) return;
    termios raw = before_;
    raw.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
    there_ = tcsetattr(STDIN_FILENO, TCSANOW, &raw) == 0;
  }
  ~Keyboard() {
    if (there_) tcsetattr(STDIN_FILENO, TCSANOW, &before_);
  }
  Keyboard(const Keyboard&) = delete;
  Keyboard& operator=(const Keyboard&) = delete;
  [[nodiscard]] bool there() const { return there_; }

 private:
  termios before_{};
  bool there_ = false;
};

class Directory {
 public:
  explicit Directory(const std::string& wanted) : path_(wanted), kept_(!wanted.empty()) {
    if (kept_) return;
    std::string pattern = (std::filesystem::temp_directory_path() / "assent-dev-XXXXXX").string();
    if (mkdtemp(pattern.data()) != nullptr) path_ = pattern;
  }
  ~Directory() {
    std::error_code ignored;
    if (!kept_ && !path_.empty()) std::filesystem::remove_all(path_, ignored);
  }
  Directory(const Directory&) = delete;
  Directory& operator=(const Directory&) = delete;
  [[nodiscard]] std::filesystem::path path() const { return std::filesystem::absolute(path_); }
  [[nodiscard]] bool kept() const { return kept_; }

 private:
  std::filesystem::path path_;
  const bool kept_;
};

std::optional<std::string> random_token() {
  std::array<unsigned char, 16> bytes{};
  std::ifstream source("/dev/urandom", std::ios::binary);
  if (!source.read(reinterpret_cast<char*>(bytes.data()), bytes.size())) return std::nullopt;
  std::string token;
  for (const unsigned char byte : bytes) token += fmt::format("{:02x}", byte);
  return token;
}

int blocked_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGHUP);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  return signalfd(-1, &signals, SFD_CLOEXEC);
}

void print_start(const Nodes& nodes, const Directory& directory, std::uint16_t port, const std::string& token) {
  std::string endpoints;
  for (const std::string& one : nodes.endpoints()) endpoints += (endpoints.empty() ? "" : ",") + one;
  const char* traces = std::getenv("OTEL_EXPORTER_OTLP_ENDPOINT");
  fmt::print(
      "a development cluster: three nodes, coordinator c0 and shards s1 and s2 on each\n"
      "  dashboard  http://127.0.0.1:{}/#/demo?token={}\n"
      "  client     export ASSENT_ENDPOINTS={}\n"
      "  metrics    http://127.0.0.1:{}/metrics\n"
      "  traces     {}\n"
      "  data       {}{}\n",
      port, token, endpoints, port,
      traces == nullptr ? "off (set OTEL_EXPORTER_OTLP_ENDPOINT=http://localhost:4318 to export)" : traces,
      directory.path().string(), directory.kept() ? "" : " (removed at the end; --dir keeps it)");
}

void print_keys() {
  fmt::print(
      "keys: 1 2 3 choose a node, then [k]ill [r]estart [p]artition [s]low disk; [h]eal all, [b]ank on and off, "
      "[q]uit\n");
}

// One key; false: to the end.
bool press(char key, Nodes& nodes, Bank& bank, std::string& chosen) {
  std::string action;
  switch (key) {
    case 'q': return false;
    case '1':
    case '2':
    case '3':
      chosen = fmt::format("n{}", key);
      fmt::print("{}\n", chosen);
      return true;
    case 'k': action = "kill"; break;
    case 'r': action = "restart"; break;
    case 'p': action = "isolate"; break;
    case 's': action = "slow"; break;
    case 'h': action = "heal"; break;
    case 'b': action = "bank"; break;
    default: print_keys(); return true;
  }
  const auto done = act_on(nodes, bank, action, chosen);
  fmt::print("{}\n", done ? *done : "not done: " + done.error().message);
  return true;
}

void watch(int signals, const Keyboard& keyboard, Nodes& nodes, Bank& bank) {
  std::string chosen = "n1";
  while (true) {
    std::fflush(stdout);
    std::array<pollfd, 2> waiting{pollfd{.fd = signals, .events = POLLIN, .revents = 0},
                                  pollfd{.fd = keyboard.there() ? STDIN_FILENO : -1, .events = POLLIN, .revents = 0}};
    if (poll(waiting.data(), waiting.size(), -1) < 0 && errno != EINTR) return;
    if (waiting[0].revents != 0) return;
    if (waiting[1].revents == 0) continue;
    char key = 0;
    if (read(STDIN_FILENO, &key, 1) != 1 || !press(key, nodes, bank, chosen)) return;
  }
}

int complain(const std::string& what) {
  fmt::print(stderr, "assentd dev: {}\n", what);
  return exit_error;
}

}  // namespace

int run_dev(const DevOptions& options) {
  set_up_log({.level = LogLevel::error, .json = false, .node = {}, .sink = {}});
  const int signals = blocked_signals();
  const Directory directory(options.directory);
  const std::optional<std::string> token = random_token();
  const std::vector<std::uint16_t> ports = free_ports(1, options.http);
  if (!token || ports.empty()) return complain("there is no free port, or no randomness");
  auto nodes = Nodes::make({.program = options.program, .directory = directory.path(), .token = *token});
  if (!nodes) return complain(nodes.error().message);
  for (const char* node : Nodes::names) {
    if (auto started = (*nodes)->start(node); !started) return complain(started.error().message);
  }
  Bank bank((*nodes)->endpoints(), options.clients);
  auto tokens = AdminTokens::parse(*token);
  if (!tokens) return complain(tokens.error().message);
  Front front(**nodes, bank, *token, std::move(*tokens));
  if (auto listening = front.start({"127.0.0.1", ports.front()}); !listening)
    return complain(listening.error().message);
  print_start(**nodes, directory, ports.front(), *token);
  const Keyboard keyboard;
  if (keyboard.there()) print_keys();
  watch(signals, keyboard, **nodes, bank);
  fmt::print("ending\n");
  std::fflush(stdout);
  front.stop();
  return 0;
}

}  // namespace assent::dev
