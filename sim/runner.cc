#include "sim/runner.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <nlohmann/json.hpp>
#include <optional>

namespace assent::sim {
namespace {

// Between progress lines: a person watches a terminal, a log wants few lines.
constexpr double terminal_progress_seconds = 0.5;
constexpr double log_progress_seconds = 10.0;

nlohmann::json to_json(const RunResult& result) {
  return {{"seed", result.seed},         {"verdict", static_cast<int>(result.verdict)},
          {"why", result.why},           {"digest", result.digest},
          {"events", result.events},     {"time", result.virtual_time},
          {"shape", result.shape},       {"faults", result.faults},
          {"outcomes", result.outcomes}, {"rare", result.rare}};
}

RunResult from_json(const nlohmann::json& json) {
  RunResult result;
  result.seed = json.at("seed").get<std::uint64_t>();
  result.verdict = static_cast<Verdict>(json.at("verdict").get<int>());
  result.why = json.at("why").get<std::string>();
  result.digest = json.at("digest").get<std::uint64_t>();
  result.events = json.at("events").get<std::uint64_t>();
  result.virtual_time = json.at("time").get<Micros>();
  result.shape = json.at("shape").get<std::string>();
  result.faults = json.at("faults").get<Counters>();
  result.outcomes = json.at("outcomes").get<Counters>();
  result.rare = json.at("rare").get<Counters>();
  return result;
}

RunResult crashed(std::uint64_t seed, const std::string& how) {
  RunResult result;
  result.seed = seed;
  result.verdict = Verdict::crash;
  result.why = how;
  return result;
}

RunResult run_checked(const Campaign& campaign, std::uint64_t seed) {
  const RunOptions options{seed, campaign.choices, std::nullopt, {}, {}, {}};
  RunResult result = run_seed(options);
  if (campaign.twice_every == 0 || seed % campaign.twice_every != 0) return result;
  const RunResult again = run_seed(options);
  if (again.digest != result.digest && result.verdict == Verdict::ok) {
    result.verdict = Verdict::wrong;
    result.why = fmt::format("L7 determinism: two runs of this seed have the digests {:016x} and {:016x}",
                             result.digest, again.digest);
  }
  return result;
}

// A child that runs seeds one after the other and writes "start <seed>" and a line of JSON for each.
struct Worker {
  pid_t process = 0;
  int pipe = -1;
  std::string text;
  std::optional<std::uint64_t> at;
  std::uint64_t next = 0;  // the seed after the one it is at
};

void write_line(int file, const std::string& line) {
  const std::string text = line + "\n";
  std::size_t written = 0;
  while (written < text.size()) {
    const ssize_t now = ::write(file, text.data() + written, text.size() - written);
    if (now <= 0) ::_exit(9);
    written += static_cast<std::size_t>(now);
  }
}

Worker start_worker(const Campaign& campaign, std::uint64_t first) {
  int ends[2] = {-1, -1};
  std::fflush(stdout);
  if (::pipe(ends) != 0) return {};
  const pid_t child = ::fork();
  if (child == 0) {
    ::close(ends[0]);
    for (std::uint64_t seed = first; seed <= campaign.last; seed += campaign.jobs) {
      write_line(ends[1], fmt::format("start {}", seed));
      write_line(ends[1], to_json(run_checked(campaign, seed)).dump());
    }
    ::_exit(0);
  }
  ::close(ends[1]);
  return Worker{child, ends[0], {}, std::nullopt, first};
}

double seconds_of(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

// How the process ended; adds the processor time that it took.
std::string ending(pid_t process, double* processor_seconds = nullptr) {
  int status = 0;
  rusage usage{};
  ::wait4(process, &status, 0, &usage);
  if (processor_seconds != nullptr) *processor_seconds += seconds_of(usage.ru_utime) + seconds_of(usage.ru_stime);
  if (WIFSIGNALED(status))
    return fmt::format("the process was ended by signal {} ({})", WTERMSIG(status), strsignal(WTERMSIG(status)));
  return fmt::format("the process ended with code {}", WEXITSTATUS(status));
}

class Runner {
 public:
  explicit Runner(const Campaign& campaign) : campaign_(campaign) {}

  Report run() {
    begun_ = std::chrono::steady_clock::now();
    for (unsigned job = 0; job < campaign_.jobs && campaign_.first + job <= campaign_.last; ++job) {
      workers_.push_back(start_worker(campaign_, campaign_.first + job));
    }
    while (!workers_.empty() && !over()) wait_and_read();
    for (const Worker& worker : workers_) stop(worker);
    if (terminal_ && progress_shown_) fmt::print(stderr, "\n");
    report_.seconds = elapsed();
    return std::move(report_);
  }

 private:
  [[nodiscard]] double elapsed() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begun_).count();
  }

  [[nodiscard]] bool over() const {
    return (campaign_.first_failure && !report_.failures.empty()) ||
           (campaign_.seconds_max > 0 && elapsed() >= campaign_.seconds_max);
  }

  void stop(const Worker& worker) {
    ::kill(worker.process, SIGKILL);
    ::close(worker.pipe);
    ending(worker.process, &report_.processor_seconds);
  }

  void wait_and_read() {
    std::vector<pollfd> files;
    for (const Worker& worker : workers_) files.push_back(pollfd{worker.pipe, POLLIN, 0});
    ::poll(files.data(), files.size(), 200);
    for (std::size_t i = files.size(); i-- > 0;) {
      if (files[i].revents != 0) read(i);
    }
    progress();
  }

  void progress() {
    if (campaign_.quiet || elapsed() < next_progress_) return;
    next_progress_ = elapsed() + progress_gap_;
    const std::uint64_t all = campaign_.last - campaign_.first + 1;
    fmt::print(stderr, "{}{} of {} seeds, {} failed, {:.1f} seeds a second{}", terminal_ ? "\r" : "", report_.seeds,
               all, report_.failures.size(), static_cast<double>(report_.seeds) / elapsed(), terminal_ ? "  " : "\n");
    progress_shown_ = true;
  }

  void read(std::size_t which) {
    Worker& worker = workers_[which];
    char buffer[65536];
    const ssize_t size = ::read(worker.pipe, buffer, sizeof buffer);
    if (size > 0) {
      worker.text.append(buffer, static_cast<std::size_t>(size));
      for (std::size_t end = worker.text.find('\n'); end != std::string::npos; end = worker.text.find('\n')) {
        line(worker, worker.text.substr(0, end));
        worker.text.erase(0, end + 1);
      }
      return;
    }
    ::close(worker.pipe);
    const std::string how = ending(worker.process, &report_.processor_seconds);
    const std::optional<std::uint64_t> at = worker.at;
    workers_.erase(workers_.begin() + static_cast<std::ptrdiff_t>(which));
    if (!at) return;
    finished(crashed(*at, how));
    if (*at + campaign_.jobs <= campaign_.last) workers_.push_back(start_worker(campaign_, *at + campaign_.jobs));
  }

  void line(Worker& worker, const std::string& text) {
    if (text.starts_with("start ")) {
      worker.at = std::stoull(text.substr(6));
      return;
    }
    worker.at.reset();
    finished(from_json(nlohmann::json::parse(text)));
  }

  void finished(const RunResult& result) {
    report_.add(result);
    if (campaign_.each) fmt::print("{}", describe(result));
    if (result.verdict != Verdict::ok && !campaign_.quiet) {
      fmt::print("{}", describe_failure(result, campaign_.choices, campaign_.program));
    }
    std::fflush(stdout);
  }

  Campaign campaign_;
  std::vector<Worker> workers_;
  Report report_;
  std::chrono::steady_clock::time_point begun_;
  bool terminal_ = ::isatty(STDERR_FILENO) == 1;
  double progress_gap_ = terminal_ ? terminal_progress_seconds : log_progress_seconds;
  double next_progress_ = progress_gap_;
  bool progress_shown_ = false;
};

}  // namespace

RunResult run_seed(const RunOptions& options) {
  World world(options);
  auto result = world.run();
  if (result) return *result;
  return crashed(options.seed, result.error().message);
}

RunResult run_seed_guarded(const RunOptions& options) {
  int ends[2] = {-1, -1};
  std::fflush(stdout);
  if (::pipe(ends) != 0) return crashed(options.seed, "no pipe can be made");
  const pid_t child = ::fork();
  if (child == 0) {
    ::close(ends[0]);
    const RunResult result = run_seed(options);
    std::fflush(stdout);
    write_line(ends[1], to_json(result).dump());
    ::_exit(0);
  }
  ::close(ends[1]);
  std::string text;
  char buffer[65536];
  for (ssize_t size = ::read(ends[0], buffer, sizeof buffer); size > 0; size = ::read(ends[0], buffer, sizeof buffer)) {
    text.append(buffer, static_cast<std::size_t>(size));
  }
  ::close(ends[0]);
  const std::string how = ending(child);
  return text.empty() ? crashed(options.seed, how) : from_json(nlohmann::json::parse(text));
}

Report run_campaign(const Campaign& campaign) { return Runner(campaign).run(); }

}  // namespace assent::sim
