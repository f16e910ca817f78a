// assentctl sql, assentctl txn ..., assentctl kv ...
#include <fmt/format.h>

#include "cli/outcome_text.h"
#include "cli/session.h"
#include "cli/values.h"

namespace assent::cli {

namespace {

// A transaction of one operation, whose id nobody chose: a conflict may be tried again under a new one.
client::Result<client::TxnOutcome> run_one(const Session& session, const std::string& shard,
                                           const Operation& operation) {
  return session.client.run_with_retry([&](const TxnId&) {
    client::Transaction transaction;
    transaction.on(shard, operation);
    return transaction;
  });
}

ExitCode print_value(const Session& session, const std::string& key, const client::QueryResult& result) {
  const bool found = result.results.size() == 1 && result.results.front().rows.size() == 1 &&
                     !result.results.front().rows.front().empty();
  const SqlValue value = found ? result.results.front().rows.front().front() : SqlValue(SqlNull{});
  const auto* blob = std::get_if<SqlBlob>(&value);
  const std::string text = blob != nullptr ? blob->bytes : text_of(value);
  if (session.json()) {
    Json document{{"key", key}, {"found", found}};
    if (found) document["value"] = text;
    if (found && blob != nullptr) document["valueHex"] = hex_of(blob->bytes);
    session.print(document);
  } else if (found) {
    session.console.out << text << '\n';
  } else {
    session.console.err << "assentctl: there is no key " << printable(key) << '\n';
  }
  return found ? ExitCode::ok : ExitCode::not_found;
}

}  // namespace

ExitCode run(const Session& session, const SqlCommand& command) {
  const SqlStatement statement{command.statement, command.parameters};
  if (!only_reads(command.statement)) return conclude(session, run_one(session, command.shard, statement));
  const client::Result<client::QueryResult> result = session.client.query(command.shard, {statement});
  if (!result) return session.fail(result.error());
  if (session.json()) {
    session.print(to_json(*result, command.shard));
  } else if (!result->results.empty()) {
    print_rows(session, result->results.front());
  }
  return ExitCode::ok;
}

ExitCode run(const Session& session, const TxnExecCommand& command) {
  client::Transaction transaction;
  transaction.id = command.id;
  transaction.protocol = command.protocol;
  transaction.mode = command.mode;
  for (const auto& [shard, statement] : command.on) transaction.on(shard, SqlStatement{statement, {}});
  for (const client::ServiceCall& call : command.calls) transaction.call(call);
  return conclude(session, session.client.execute(std::move(transaction)));
}

ExitCode run(const Session& session, const KvCommand& command) {
  const auto* get = std::get_if<KvGet>(&command.operation);
  if (get == nullptr) return conclude(session, run_one(session, command.shard, command.operation));
  const client::Result<client::QueryResult> result = session.client.query(command.shard, {command.operation});
  if (!result) return session.fail(result.error());
  return print_value(session, get->key, *result);
}

}  // namespace assent::cli
