// assentctl conformance
#include <fmt/format.h>

#include "cli/conformance/conformance.h"
#include "cli/hook.h"
#include "cli/session.h"

namespace assent::cli {

namespace {

Json document_of(const ConformanceCommand& command, const conformance::Report& report) {
  Json checks = Json::array();
  for (const conformance::Finding& finding : report.findings) {
    Json one{{"check", finding.check}, {"verdict", conformance::to_string(finding.verdict)}};
    if (!finding.seen.empty()) one["seen"] = finding.seen;
    if (!finding.cost.empty()) one["cost"] = finding.cost;
    checks.push_back(std::move(one));
  }
  return {{"target", command.target},
          {"conforms", report.conforms()},
          {"passed", report.count(conformance::Verdict::passed)},
          {"failed", report.count(conformance::Verdict::failed)},
          {"skipped", report.count(conformance::Verdict::skipped)},
          {"checks", std::move(checks)}};
}

void print(const Session& session, const conformance::Finding& finding) {
  session.console.out << fmt::format("{:<8}{}\n", conformance::to_string(finding.verdict), finding.check);
  if (!finding.seen.empty()) session.console.out << fmt::format("        {}\n", printable(finding.seen));
  if (!finding.cost.empty()) session.console.out << fmt::format("        what it costs: {}\n", finding.cost);
  session.console.out.flush();
}

}  // namespace

ExitCode run(const Session& session, const ConformanceCommand& command) {
  conformance::Plan plan;
  plan.target = command.target;
  plan.ca_file = command.ca_file;
  plan.branch = command.branch;
  plan.participant = command.participant;
  plan.payload = command.payload;
  plan.refused = command.refused;
  plan.patience = session.global.timeout;
  if (!command.restart_hook.empty()) {
    plan.restart = [&] { return run_hook(command.restart_hook, command.target) == 0; };
  }
  const conformance::Report report = conformance::prove(plan, [&](const conformance::Finding& finding) {
    if (!session.json()) print(session, finding);
  });
  if (session.json()) {
    session.print(document_of(command, report));
  } else {
    session.console.out << fmt::format(
        "{} passed, {} failed, {} skipped: {}\n", report.count(conformance::Verdict::passed),
        report.count(conformance::Verdict::failed), report.count(conformance::Verdict::skipped),
        report.conforms() ? "it conforms, as far as these can tell" : "it does not conform");
  }
  return report.conforms() ? ExitCode::ok : ExitCode::error;
}

}  // namespace assent::cli
