// assentctl bench run --workload hot, and keys
#include <fmt/format.h>

#include <algorithm>

#include "cli/hot/load.h"
#include "cli/session.h"

namespace assent::cli {

namespace {

std::uint64_t accounts_of(const BenchRunCommand& command) {
  return command.workload == BenchWorkload::keys ? command.accounts_per_shard : 1;
}

Json to_json(const hot::Report& report, const BenchRunCommand& command) {
  return Json{{"workload", command.workload == BenchWorkload::keys ? "keys" : "hot"},
              {"clients", command.clients},
              {"accounts", accounts_of(command)},
              {"escrow", command.escrow},
              {"sql", command.sql},
              {"protocol", to_string(command.protocol)},
              {"participants", command.participants},
              {"value_bytes", command.value_bytes},
              {"transfers_per_second", report.per_second()},
              {"seconds", report.seconds},
              {"committed", report.committed},
              {"aborted", report.aborted},
              {"conflicts", report.conflicts},
              {"failed", report.failed},
              {"unknown", report.unknown},
              {"latency_p50_micros", report.latency.percentile(0.5)},
              {"latency_p99_micros", report.latency.percentile(0.99)},
              {"server_cpu_us_per_txn", report.cost.server_cpu_micros},
              {"client_cpu_us_per_txn", report.cost.client_cpu_micros},
              {"fsyncs_per_txn", report.cost.fsyncs},
              {"wal_bytes_per_txn", report.cost.wal_bytes},
              {"frames_per_txn", report.cost.frames},
              {"total_before", report.total_before},
              {"total_after", report.total_after},
              {"sound", report.sound()}};
}

}  // namespace

ExitCode run_hot(const Session& session, const BenchRunCommand& command) {
  hot::Options options;
  options.clients = command.clients;
  options.duration = command.duration;
  options.warmup = command.warmup;
  options.participants = command.participants;
  options.value_bytes = command.value_bytes;
  options.accounts = accounts_of(command);
  options.balance = std::max<std::int64_t>(command.balance, 1) * 1'000;
  options.escrow = command.escrow;
  options.sql = command.sql;
  options.protocol = command.protocol;
  options.seed = command.seed;
  options.timeout = std::max<std::chrono::milliseconds>(session.global.timeout, std::chrono::seconds(10));
  const client::Result<hot::Report> report = hot::run(session.client, options);
  if (!report) return session.fail(report.error());
  if (session.json()) {
    session.print(to_json(*report, command));
  } else {
    session.console.out << fmt::format(
        "{} common account(s), {}, {} escrow, {} clients\n"
        "transfers/s   {:.1f} ({} in {:.1f} s)\n"
        "latency ms    p50 {:.2f}  p99 {:.2f}\n"
        "outcomes      {} committed  {} aborted  {} conflicts retried  {} failed  {} unknown\n"
        "per transfer  server cpu {:.0f} us  client cpu {:.0f} us  fsyncs {:.2f}  wal {:.0f} B  frames {:.2f}\n"
        "money         {} before, {} after: {}\n",
        options.accounts, command.sql ? "rows" : "keys", command.escrow ? "with" : "without", command.clients,
        report->per_second(), report->committed, report->seconds,
        static_cast<double>(report->latency.percentile(0.5)) / 1000,
        static_cast<double>(report->latency.percentile(0.99)) / 1000, report->committed, report->aborted,
        report->conflicts, report->failed, report->unknown, report->cost.server_cpu_micros,
        report->cost.client_cpu_micros, report->cost.fsyncs, report->cost.wal_bytes, report->cost.frames,
        report->total_before, report->total_after, report->sound() ? "sound" : "NOT SOUND");
  }
  return report->sound() ? ExitCode::ok : ExitCode::error;
}

}  // namespace assent::cli
