#include "cli/bank/run.h"

#include <fmt/format.h>

#include <algorithm>
#include <condition_variable>
#include <thread>

#include "cli/bank/setup.h"

namespace assent::bank {

namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

template <class... Args>
void say(std::ostream* out, fmt::format_string<Args...> format, Args&&... args) {
  if (out == nullptr) return;
  *out << fmt::format(format, std::forward<Args>(args)...) << std::flush;
}

double millis(std::uint64_t micros) { return static_cast<double>(micros) / 1000.0; }

// Runs each disturbance at its time, on one thread.
class Disturber {
 public:
  Disturber(const std::vector<Disturbance>& disturbances, milliseconds duration) : disturbances_(disturbances) {
    const Clock::time_point start = Clock::now();
    thread_ = std::thread([this, start, duration] {
      for (const Disturbance& disturbance : disturbances_) {
        std::this_thread::sleep_until(
            start + milliseconds(static_cast<std::int64_t>(disturbance.at * static_cast<double>(duration.count()))));
        disturbance.act();
      }
    });
  }
  ~Disturber() { thread_.join(); }
  Disturber(const Disturber&) = delete;
  Disturber& operator=(const Disturber&) = delete;

 private:
  const std::vector<Disturbance>& disturbances_;
  std::thread thread_;
};

void say_progress(std::ostream* out, double elapsed, const Tally& recent, double seconds) {
  say(out, "{:>7.0f}s {:>11.1f} {:>9.2f} {:>9.2f} {:>8} {:>10} {:>8}\n", elapsed,
      static_cast<double>(recent.committed) / seconds, millis(recent.latency.percentile(0.5)),
      millis(recent.latency.percentile(0.99)), recent.aborted, recent.conflicts, recent.unknown);
}

// Samples each second until the time is over.
void watch(Load& load, milliseconds duration, Clock::time_point start, std::ostream* progress) {
  const Clock::time_point end = Clock::now() + duration;
  Clock::time_point last = Clock::now();
  while (last < end) {
    std::this_thread::sleep_until(std::min(last + std::chrono::seconds(1), end));
    const Clock::time_point now = Clock::now();
    const double seconds = std::chrono::duration<double>(now - last).count();
    if (seconds > 0.2)
      say_progress(progress, std::chrono::duration<double>(now - start).count(), load.sample(), seconds);
    last = now;
  }
}

void record_state(History& history, const Balances& balances, bool write, std::uint64_t process) {
  std::vector<Micro> asked;
  std::vector<Micro> known;
  for (const auto& [account, balance] : balances) {
    const check::OpKind kind = write ? check::OpKind::write : check::OpKind::read;
    asked.push_back({kind, account_id(account), write ? check::Value(balance) : check::Value()});
    known.push_back({kind, account_id(account), balance});
  }
  if (asked.empty()) return;
  history.write(EventType::invoke, process, asked);
  history.write(EventType::ok, process, known);
}

// A history begins with what the accounts were made with, or held already, and ends with what they hold. Each reading
// is one shard's, for two shards are not read at one instant.
void record_start(History& history, const SetUp& setup) {
  Balances created;
  Balances found = setup.balances;
  for (const std::uint64_t account : setup.created) {
    created[account] = setup.bank.initial_balance;
    found.erase(account);
  }
  record_state(history, created, true, 0);
  record_state(history, found, false, 0);
}

void record_end(History& history, const Bank& bank, const Balances& balances, std::uint64_t process) {
  for (std::size_t shard = 0; shard < bank.shards.size(); ++shard) {
    Balances own;
    for (const auto& [account, balance] : balances) {
      if (account % bank.shards.size() == shard) own[account] = balance;
    }
    record_state(history, own, false, process);
  }
}

client::Result<Judgement> examine(client::Client& client, const SetUp& setup, const TxnId& since, const Ledger& ledger,
                                  milliseconds patience, History* history, std::uint64_t process) {
  const client::Result<std::uint64_t> in_doubt = wait_until_settled(client, setup.bank, patience);
  if (!in_doubt) return tl::unexpected(in_doubt.error());
  const client::Result<Balances> after = read_balances(client, setup.bank);
  if (!after) return tl::unexpected(after.error());
  const client::Result<std::vector<Entry>> entries = read_entries(client, setup.bank, since);
  if (!entries) return tl::unexpected(entries.error());
  if (history != nullptr) record_end(*history, setup.bank, *after, process);
  Judgement judgement = judge(setup.bank, setup.balances, *after, *entries, &ledger);
  judgement.in_doubt_left = *in_doubt;
  return judgement;
}

// The smallest id of this millisecond.
TxnId first_id_from_now() {
  TxnId id = client::new_txn_id();
  std::fill(id.bytes.begin() + 6, id.bytes.end(), std::uint8_t{0});
  return id;
}

}  // namespace

double Report::per_second() const { return seconds > 0 ? static_cast<double>(committed_in_time) / seconds : 0.0; }

std::vector<std::string> Report::complaints() const {
  std::vector<std::string> out = judgement.complaints();
  if (tally.unknown != tally.unknown_resolved) {
    out.push_back(fmt::format("{} of {} unknown outcomes could not be resolved by asking",
                              tally.unknown - tally.unknown_resolved, tally.unknown));
  }
  return out;
}

client::Result<Report> run(client::Client& client, const RunOptions& options,
                           const std::vector<Disturbance>& disturbances) {
  std::optional<History> history;
  if (!options.history_path.empty()) {
    client::Result<History> created = History::create(options.history_path);
    if (!created) return tl::unexpected(created.error());
    history.emplace(std::move(*created));
  }
  History* const recorder = history ? &*history : nullptr;

  const client::Result<SetUp> setup =
      set_up(client, options.accounts_per_shard, options.initial_balance, [&](std::uint64_t done, std::uint64_t all) {
        say(options.progress, "loading   {:>8} of {} accounts\n", done, all);
      });
  if (!setup) return tl::unexpected(setup.error());
  if (recorder != nullptr) record_start(*recorder, *setup);

  const TxnId since = first_id_from_now();
  Report report;
  report.bank = setup->bank;
  Load load(client, setup->bank, options.load, recorder);
  say(options.progress, "{:>8} {:>11} {:>9} {:>9} {:>8} {:>10} {:>8}\n", "elapsed", "commits/s", "p50(ms)", "p99(ms)",
      "aborts", "conflicts", "unknown");
  const Clock::time_point start = Clock::now();
  load.start();
  if (options.warmup.count() > 0) {
    watch(load, options.warmup, start, options.progress);
    load.discard();
    say(options.progress, "warm-up ends\n");
  }
  const Meter before = read_meter(client);
  const Clock::time_point measured = Clock::now();
  load.discard();
  {
    const Disturber disturber(disturbances, options.duration);
    watch(load, options.duration, start, options.progress);
  }
  report.seconds = std::chrono::duration<double>(Clock::now() - measured).count();
  const Meter after = read_meter(client);
  report.committed_in_time = load.total().committed;
  load.stop();

  report.tally = load.total();
  report.unavailable_max = load.longest_gap();
  report.cost = cost_between(before, after, report.committed_in_time);
  say(options.progress, "checking  the books of {} transfers\n", report.tally.committed);
  const client::Result<Judgement> judgement =
      examine(client, *setup, since, load.ledger(), options.settle_patience, recorder, load.fresh_process());
  if (!judgement) return tl::unexpected(judgement.error());
  report.judgement = *judgement;
  if (history) {
    const client::Result<bool> written = history->close();
    if (!written) return tl::unexpected(written.error());
  }
  return report;
}

}  // namespace assent::bank
