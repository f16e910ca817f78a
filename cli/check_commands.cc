// assentctl check ...
#include <cerrno>
#include <cstring>
#include <fstream>
#include <iostream>

#include "check/judge.h"
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
  switch (verdict.judgement()) {
    case check::Judgement::sound: return ExitCode::ok;
    case check::Judgement::wrong: return ExitCode::error;
    case check::Judgement::unknown: return ExitCode::unknown;
  }
  return ExitCode::error;
}

}  // namespace assent::cli
