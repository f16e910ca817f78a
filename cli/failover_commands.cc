// assentctl bench failover
#include <fmt/format.h>

#include "cli/failover/failover.h"
#include "cli/hook.h"
#include "cli/session.h"

namespace assent::cli {

namespace {

Json to_json(const failover::Figures& figures, const failover::Times& times, const BenchFailoverCommand& command) {
  Json millis = Json::array();
  for (const auto time : times) millis.push_back(time.count() / 1000);
  return Json{{"trials", figures.trials},
              {"election_timeout_ms", command.election_timeout.count()},
              {"p50", figures.p50},
              {"p90", figures.p90},
              {"p99", figures.p99},
              {"max", figures.max},
              {"within_three", figures.within_three},
              {"times_ms", std::move(millis)}};
}

}  // namespace

ExitCode run(const Session& session, const BenchFailoverCommand& command) {
  failover::Options options;
  options.group = command.group;
  options.trials = command.trials;
  options.kill = [&](const std::string& node) { return run_hook(command.kill_hook, node) == 0; };
  options.start = [&](const std::string& node) { return run_hook(command.restart_hook, node) == 0; };
  options.served = [&, trial = 0](std::chrono::microseconds took) mutable {
    session.console.err << fmt::format("{:>4}  {:.2f} s\n", ++trial, std::chrono::duration<double>(took).count())
                        << std::flush;
  };
  const client::Result<failover::Times> times = failover::run(session.client, options);
  if (!times) return session.fail(times.error());
  const failover::Figures figures = failover::figures(*times, command.election_timeout);
  if (session.json()) {
    session.print(to_json(figures, *times, command));
  } else {
    session.console.out << fmt::format(
        "in election time-outs of {} ms, from the kill until a new leader has served:\n"
        "p50 {:.2f}  p90 {:.2f}  p99 {:.2f}  max {:.2f}; {} of {} within three\n",
        command.election_timeout.count(), figures.p50, figures.p90, figures.p99, figures.max, figures.within_three,
        figures.trials);
  }
  return ExitCode::ok;
}

}  // namespace assent::cli
