// assentctl check ..., and what is judged the same way: assentctl bench run --workload append|register
#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iostream>
#include <optional>
#include <thread>

#include "check/judge.h"
#include "cli/items/load.h"
#include "cli/session.h"

namespace assent::cli {

namespace {

Json to_json(const check::Verdict& verdict) {
  Json anomalies = Json::array();
  for (const check::Anomaly& anomaly : verdict.anomalies) {
    anomalies.push_back(Json{{"name", anomaly.name}, {"story", anomaly.story}});
  }
  const check::Judgement judgement = verdict.judgement();
  return Json{{"judgement", judgement == check::Judgement::sound   ? "sound"
                            : judgement == check::Judgement::wrong ? "wrong"
                                                                   : "unknown"},
              {"anomalies_found", verdict.anomalies_found},
              {"anomalies", anomalies},
              {"not_judged", verdict.gaps},
              {"transactions", verdict.transactions},
              {"keys", verdict.keys},
              {"dependencies", verdict.edges}};
}

void print(const Session& session, const items::Tally& tally, double per_second, const check::Verdict& verdict) {
  if (session.json()) {
    Json document = to_json(verdict);
    document["per_second"] = per_second;
    document["committed"] = tally.committed;
    document["aborted"] = tally.aborted;
    document["failed"] = tally.failed;
    document["unknown"] = tally.unknown;
    document["unknown_left"] = tally.unresolved;
    return session.print(document);
  }
  session.console.out << fmt::format(
      "{:.1f} transactions/s: {} committed, {} aborted, {} failed, {} unknown, {} of them for good\n", per_second,
      tally.committed, tally.aborted, tally.failed, tally.unknown, tally.unresolved);
  session.console.out << check::to_text(verdict);
}

Result<check::History> read(const std::string& path) {
  if (path == "-") return check::read_history(std::cin);
  std::ifstream in(path);
  if (!in) return assent::fail(ErrorCode::io, std::strerror(errno));
  return check::read_history(in);
}

}  // namespace

// What cannot be read is a wrong argument, so that exit code 1 always means an anomaly.
ExitCode run(const Session& session, const CheckHistoryCommand& command) {
  const Result<check::History> history = read(command.path);
  if (!history) {
    client::Error error;
    error.code = client::ErrorCode::invalid;
    error.message = command.path + ": " + history.error().message;
    static_cast<void>(session.fail(error));
    return ExitCode::usage;
  }
  const check::Verdict verdict = check::judge(*history);
  if (session.json()) {
    session.print(to_json(verdict));
  } else {
    session.console.out << check::to_text(verdict);
  }
  return exit_code_of(verdict);
}

ExitCode exit_code_of(const check::Verdict& verdict) {
  switch (verdict.judgement()) {
    case check::Judgement::sound: return ExitCode::ok;
    case check::Judgement::wrong: return ExitCode::error;
    case check::Judgement::unknown: return ExitCode::unknown;
  }
  return ExitCode::error;
}

ExitCode run_items(const Session& session, const BenchRunCommand& command) {
  std::optional<bank::History> file;
  if (!command.history.empty()) {
    client::Result<bank::History> created = bank::History::create(command.history);
    if (!created) return session.fail(created.error());
    file.emplace(std::move(*created));
  }
  items::Options options;
  options.kind = command.workload == BenchWorkload::append ? items::Kind::list : items::Kind::number;
  options.clients = command.clients;
  options.protocol = command.protocol;
  options.seed = command.seed;
  options.timeout = session.global.timeout;
  items::Load load(session.client, options, file ? &*file : nullptr);
  if (auto made = load.set_up(); !made) return session.fail(made.error());
  load.start();
  std::this_thread::sleep_for(command.warmup);
  const std::uint64_t before = load.tally().committed;
  std::this_thread::sleep_for(command.duration);
  const double seconds = std::chrono::duration<double>(command.duration).count();
  const double per_second = seconds > 0 ? static_cast<double>(load.tally().committed - before) / seconds : 0;
  load.stop();
  const client::Result<check::Verdict> verdict = load.judge();
  if (!verdict) return session.fail(verdict.error());
  if (file) {
    if (auto closed = file->close(); !closed) return session.fail(closed.error());
  }
  print(session, load.tally(), per_second, *verdict);
  return exit_code_of(*verdict);
}

}  // namespace assent::cli
