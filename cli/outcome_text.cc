#include "cli/outcome_text.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "cli/values.h"

namespace assent::cli {

namespace {

struct ValueToText {
  std::string operator()(const SqlNull&) const { return "NULL"; }
  std::string operator()(std::int64_t value) const { return std::to_string(value); }
  std::string operator()(double value) const { return fmt::format("{}", value); }
  std::string operator()(const std::string& value) const { return value; }
  std::string operator()(const SqlBlob& value) const { return "x'" + hex_of(value.bytes) + "'"; }
};

}  // namespace

std::string text_of(const SqlValue& value) { return std::visit(ValueToText{}, value); }

void print_rows(const Session& session, const OperationResult& result) {
  Table table(result.columns);
  for (const std::vector<SqlValue>& row : result.rows) {
    std::vector<std::string> cells;
    for (std::size_t i = 0; i < row.size() && i < result.columns.size(); ++i) cells.push_back(text_of(row[i]));
    table.add(std::move(cells));
  }
  session.print(table);
}

void print_fact(const Session& session, std::string_view name, std::string_view value) {
  if (!value.empty()) session.console.out << fmt::format("{:<13}{}\n", name, printable(value));
}

namespace {

std::string counted(std::uint64_t number, std::string_view one, std::string_view many) {
  return fmt::format("{} {}", number, number == 1 ? one : many);
}

std::string text_of(const Cost& cost) {
  return fmt::format("{}, {}, {}, {}", counted(cost.rounds, "round", "rounds"),
                     counted(cost.messages, "message", "messages"), counted(cost.entries, "log entry", "log entries"),
                     counted(cost.syncs, "sync", "syncs"));
}

void print_bill(const Session& session, const Bill& bill) {
  if (bill.empty()) return;
  print_fact(session, "bill", text_of(bill.answered) + " until the answer");
  if (bill.freed == Cost{}) return;
  print_fact(session, "",
             fmt::format("{} until its locks were free, {} ms locked", text_of(bill.freed), bill.locked_millis));
}

}  // namespace

// What is atomic and what is only compensated.
std::string_view words_of(Mode mode) {
  switch (mode) {
    case Mode::atomic: return "";
    case Mode::tcc: return "tcc: services tried, then confirm or cancel; shards are atomic";
    case Mode::saga: return "saga: services did their steps in order, an abort compensates them; shards are atomic";
    case Mode::concurrent_saga:
      return "concurrent-saga: services did their steps, an abort compensates them; shards are atomic";
  }
  return "";
}

void print_outcome(const Session& session, const client::TxnOutcome& outcome) {
  print_fact(session, "txid", outcome.id.to_hex());
  print_fact(session, "state", state_name(outcome.state));
  if (outcome.aborted()) {
    const client::Abort& abort = outcome.abort;
    print_fact(session, "reason", to_string(abort.reason));
    print_fact(session, "message", abort.message);
    print_fact(session, "constraint", abort.constraint);
    print_fact(session, "refused by", abort.participant);
    if (!abort.holder.none()) print_fact(session, "lock held by", abort.holder.to_hex());
  }
  if (outcome.definite()) print_fact(session, "protocol", to_string(outcome.protocol));
  print_fact(session, "mode", words_of(outcome.mode));
  print_fact(session, "participants", fmt::format("{}", fmt::join(outcome.participants, " ")));
  if (outcome.decided_at.value > 0) print_fact(session, "decided", time_of(outcome.decided_at));
  if (outcome.by_hand) print_fact(session, "heuristic", "an operator ended the part of a service by hand");
  print_fact(session, "told by", outcome.answered_by);
  print_bill(session, outcome.bill);
  print_fact(session, "note", outcome.note);
}

void print_results(const Session& session, const client::TxnOutcome& outcome) {
  for (const client::BranchResult& branch : outcome.results) {
    for (const OperationResult& result : branch.results) {
      if (result.columns.empty()) {
        const char* rows = result.rows_affected == 1 ? "row" : "rows";
        print_fact(session, branch.shard, fmt::format("{} {} affected", result.rows_affected, rows));
      } else {
        print_fact(session, branch.shard, fmt::format("{} rows", result.rows.size()));
        print_rows(session, result);
      }
    }
  }
}

// Prints what came of a transaction that was run.
ExitCode refuse(const Session& session, const TxnId& id, const std::string& why, const std::string& next) {
  if (session.json()) {
    session.print(Json{{"txnId", id.to_hex()}, {"refused", why}, {"next", next}});
  } else {
    print_fact(session, "txid", id.to_hex());
    print_fact(session, "refused", why);
    print_fact(session, "next", next);
  }
  return ExitCode::refused;
}

bool confirmed(const Session& session, const TxnId& id, std::string_view question) {
  const std::string digits = id.to_hex().substr(26);
  session.console.err << fmt::format("{}, type the last six digits of its id ({}): ", question, digits);
  session.console.err.flush();
  std::string typed;
  return std::getline(session.console.in, typed) && typed == digits;
}

ExitCode conclude(const Session& session, const client::Result<client::TxnOutcome>& outcome) {
  if (!outcome) return session.fail(outcome.error());
  if (session.json()) {
    session.print(to_json(*outcome));
  } else {
    print_outcome(session, *outcome);
    print_results(session, *outcome);
  }
  return exit_code_of(*outcome);
}

}  // namespace assent::cli
