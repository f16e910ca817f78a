// assentctl bench ..., assentctl demo ...
#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <mutex>

#include "cli/bank/run.h"
#include "cli/hook.h"
#include "cli/session.h"

namespace assent::cli {

namespace {

bank::RunOptions options_of(const Session& session, const BenchRunCommand& command, std::ostream& progress) {
  bank::RunOptions options;
  options.accounts_per_shard = command.accounts_per_shard;
  options.initial_balance = command.balance;
  options.duration = command.duration;
  options.warmup = command.warmup;
  options.history_path = command.history;
  options.progress = &progress;
  options.load.clients = command.clients;
  options.load.cross_shard = command.cross_shard;
  options.load.protocol = command.protocol;
  options.load.seed = command.seed;
  // The global timeout is for one call; a transfer under load, with its retries and perhaps an election, gets more.
  options.load.timeout = std::max<std::chrono::milliseconds>(session.global.timeout, std::chrono::seconds(10));
  return options;
}

void print_summary(const Session& session, const bank::Report& report) {
  std::ostream& out = session.console.out;
  const bank::Tally& tally = report.tally;
  const auto millis = [](std::uint64_t micros) { return static_cast<double>(micros) / 1000.0; };
  const auto line = [&](std::string_view name, const std::string& value) {
    out << fmt::format("{:<14}{}\n", name, value);
  };
  line("transfers/s",
       fmt::format("{:.1f} ({} in {:.1f} s)", report.per_second(), report.committed_in_time, report.seconds));
  line("latency ms",
       fmt::format("p50 {:.2f}  p95 {:.2f}  p99 {:.2f}  max {:.1f}  mean {:.2f}", millis(tally.latency.percentile(0.5)),
                   millis(tally.latency.percentile(0.95)), millis(tally.latency.percentile(0.99)),
                   millis(tally.latency.max()), tally.latency.mean() / 1000.0));
  line("outcomes",
       fmt::format("{} committed  {} aborted  {} conflicts retried  {} failed  {} unknown, {} of them resolved",
                   tally.committed, tally.aborted, tally.conflicts, tally.failed, tally.unknown,
                   tally.unknown_resolved));
  line("per transfer",
       fmt::format("server cpu {:.0f} us  client cpu {:.0f} us  fsyncs {:.2f}  wal {:.0f} B  frames {:.2f}",
                   report.cost.server_cpu_micros, report.cost.client_cpu_micros, report.cost.fsyncs,
                   report.cost.wal_bytes, report.cost.frames));
  line("longest gap", fmt::format("{} ms between two commits", report.unavailable_max.count()));
  line("money", fmt::format("{} before, {} after", report.judgement.total_before, report.judgement.total_after));
  line("books", report.sound() ? "sound" : "NOT SOUND");
  if (!tally.last_trouble.empty()) line("last trouble", printable(tally.last_trouble));
}

void print_complaints(const Session& session, const std::vector<std::string>& complaints) {
  for (const std::string& complaint : complaints) session.console.err << "assentctl: " << complaint << '\n';
}

// Kills the leader of the coordinator, and starts it again later. Called from the disturbing thread.
class LeaderKiller {
 public:
  LeaderKiller(const Session& session, const DemoBankCommand& command) : session_(session), command_(command) {}

  void kill() {
    const client::Result<client::ClusterStatus> status = session_.client.status();
    for (const client::GroupView& group : status ? status->groups : std::vector<client::GroupView>{}) {
      if (group.role == "coordinator" && victim_.empty()) victim_ = group.leader;
    }
    if (victim_.empty()) return complain("no coordinator leader was found to kill");
    say(fmt::format("--- killing {}, which leads the coordinator group\n", victim_));
    const int ended = run_hook(command_.kill_hook, victim_);
    if (ended != 0) return complain(fmt::format("the kill hook ended with {}", ended));
    kills_ += 1;
  }
  void restart() {
    if (victim_.empty()) return;
    say(fmt::format("--- starting {} again\n", victim_));
    const int ended = run_hook(command_.restart_hook, victim_);
    if (ended != 0) complain(fmt::format("the restart hook ended with {}", ended));
  }
  // After the thread has ended.
  [[nodiscard]] std::uint64_t kills() const { return kills_; }
  [[nodiscard]] const std::vector<std::string>& complaints() const { return complaints_; }

 private:
  void say(const std::string& line) { session_.console.out << line << std::flush; }
  void complain(std::string what) { complaints_.push_back(std::move(what)); }

  const Session& session_;
  const DemoBankCommand& command_;
  std::string victim_;
  std::uint64_t kills_ = 0;
  std::vector<std::string> complaints_;
};

}  // namespace

ExitCode run(const Session& session, const BenchRunCommand& command) {
  if (command.workload == BenchWorkload::hot || command.workload == BenchWorkload::keys) return run_hot(session, command);
  if (command.workload != BenchWorkload::bank) return run_items(session, command);
  const bank::RunOptions options = options_of(session, command, session.console.err);
  const client::Result<bank::Report> report = bank::run(session.client, options, {});
  if (!report) return session.fail(report.error());
  if (session.json()) {
    session.print(to_json(*report, command.clients));
  } else {
    print_summary(session, *report);
  }
  print_complaints(session, report->complaints());
  return report->sound() ? ExitCode::ok : ExitCode::error;
}

ExitCode run(const Session& session, const BenchCheckCommand& command) {
  const client::Result<client::ClusterStatus> status = session.client.status();
  if (!status) return session.fail(status.error());
  bank::Bank bank{status->shards(), 0, command.balance};
  std::sort(bank.shards.begin(), bank.shards.end());
  const client::Result<std::uint64_t> in_doubt = bank::wait_until_settled(session.client, bank, session.global.timeout);
  if (!in_doubt) return session.fail(in_doubt.error());
  const client::Result<bank::Balances> balances = bank::read_balances(session.client, bank);
  if (!balances) return session.fail(balances.error());
  const client::Result<std::vector<bank::Entry>> entries = bank::read_entries(session.client, bank, TxnId{});
  if (!entries) return session.fail(entries.error());
  bank::Balances began = *balances;
  for (auto& [account, balance] : began) balance = command.balance;
  bank::Judgement judgement = bank::judge(bank, began, *balances, *entries, nullptr);
  judgement.in_doubt_left = *in_doubt;
  if (session.json()) {
    session.print(Json{{"accounts", balances->size()},
                       {"entries", entries->size()},
                       {"total_before", judgement.total_before},
                       {"total_after", judgement.total_after},
                       {"in_doubt_left", judgement.in_doubt_left},
                       {"torn", judgement.torn},
                       {"accounts_off", judgement.accounts_off},
                       {"sound", judgement.sound()}});
  } else {
    session.console.out << fmt::format("{} accounts, {} entries in the books, total {} (began with {}): {}\n",
                                       balances->size(), entries->size(), judgement.total_after, judgement.total_before,
                                       judgement.sound() ? "sound" : "NOT SOUND");
  }
  print_complaints(session, judgement.complaints());
  return judgement.sound() ? ExitCode::ok : ExitCode::error;
}

ExitCode run(const Session& session, const DemoBankCommand& command) {
  // The report is the last line of stdout in every case; what goes before it is for people.
  std::ostream& progress = session.json() ? session.console.err : session.console.out;
  const bank::RunOptions options = options_of(session, command.bench, progress);
  LeaderKiller killer(session, command);
  std::vector<bank::Disturbance> disturbances;
  if (!command.kill_hook.empty()) disturbances.push_back({1.0 / 3, [&] { killer.kill(); }});
  if (!command.restart_hook.empty()) disturbances.push_back({2.0 / 3, [&] { killer.restart(); }});
  const client::Result<bank::Report> report = bank::run(session.client, options, disturbances);
  print_complaints(session, killer.complaints());
  if (!report) return session.fail(report.error());
  print_complaints(session, report->complaints());
  session.console.out << line_of(demo_json(*report, killer.kills())) << std::endl;
  return report->sound() && killer.complaints().empty() ? ExitCode::ok : ExitCode::error;
}

}  // namespace assent::cli
