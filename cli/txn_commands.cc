// assentctl sql, assentctl txn ..., assentctl kv ...
#include <fmt/format.h>

#include "cli/outcome_text.h"
#include "cli/session.h"
#include "cli/values.h"

namespace assent::cli {

namespace {

// A transaction of one operation, whose id nobody chose: a conflict may be tried again under a new one.
client::Result<client::TxnOutcome> run_one(const Session& session, const client::Route& at,
                                           const Operation& operation) {
  return session.client.run_with_retry([&](const TxnId&) {
    client::Transaction transaction;
    transaction.on(at.shard, operation);
    if (at.epoch != 0) transaction.routed_by = at.epoch;
    return transaction;
  });
}

std::string key_of(const Operation& operation) {
  return std::visit(
      [](const auto& one) {
        if constexpr (requires { one.key; }) return one.key;
        return std::string();
      },
      operation);
}

// Where keys belong may change between looking and doing: then it is looked up again.
constexpr int routes_max = 10;

template <class Outcome, class Do>
client::Result<Outcome> at_its_shard(const Session& session, const std::string& key, const Do& act) {
  for (int tries = 1;; ++tries) {
    const client::Result<client::Route> route = session.client.route(key);
    if (!route) return tl::unexpected(route.error());
    client::Result<Outcome> done = act(*route);
    if (done || done.error().reason != client::stale_map_reason || tries == routes_max) return done;
  }
}

// A stale read says so, and how old it is at most; beside the answer, so that a script reads the answer alone.
void say_stale(const Session& session, const client::QueryResult& result) {
  if (!result.age_max || session.json()) return;
  session.console.err << fmt::format("assentctl: stale, at most {} ms old: entry {}, from {}\n",
                                     result.age_max->count(), result.at, result.answered_by);
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
    if (result.age_max) {
      document["stale"] = {{"ageMillisMax", result.age_max->count()}, {"answeredBy", result.answered_by}};
    }
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
  const bool stale = command.staleness_max.count() > 0;
  if (!only_reads(command.statement)) {
    if (stale) {
      return session.fail({client::ErrorCode::invalid, "--max-staleness is for statements that only read", {}, {}});
    }
    return conclude(session, run_one(session, {command.shard, 0}, statement));
  }
  const client::Result<client::QueryResult> result =
      stale ? session.client.query_stale(command.shard, {statement}, command.staleness_max)
            : session.client.query(command.shard, {statement});
  if (!result) return session.fail(result.error());
  say_stale(session, *result);
  if (session.json()) {
    session.print(to_json(*result, command.shard));
  } else if (!result->results.empty()) {
    print_rows(session, result->results.front());
  }
  return ExitCode::ok;
}

ExitCode run(const Session& session, const TxnExecCommand& command) {
  for (int tries = 1;; ++tries) {
    client::Transaction transaction;
    transaction.id = command.id;
    transaction.protocol = command.protocol;
    transaction.mode = command.mode;
    for (const auto& [shard, statement] : command.on) transaction.on(shard, SqlStatement{statement, {}});
    for (const auto& [key, statement] : command.keys) {
      const client::Result<client::Route> route = session.client.route(key);
      if (!route) return session.fail(route.error());
      transaction.on(route->shard, SqlStatement{statement, {}});
      if (!transaction.routed_by || *transaction.routed_by > route->epoch) transaction.routed_by = route->epoch;
    }
    for (const client::ServiceCall& call : command.calls) transaction.call(call);
    client::Result<client::TxnOutcome> outcome = session.client.execute(std::move(transaction));
    const bool stale = !outcome && outcome.error().reason == client::stale_map_reason;
    if (!stale || tries == routes_max) return conclude(session, std::move(outcome));
  }
}

ExitCode run(const Session& session, const KvCommand& command) {
  const auto* get = std::get_if<KvGet>(&command.operation);
  const bool routed = command.shard.empty();
  const std::string key = key_of(command.operation);
  if (get == nullptr) {
    const auto at = [&](const client::Route& route) { return run_one(session, route, command.operation); };
    return conclude(session,
                    routed ? at_its_shard<client::TxnOutcome>(session, key, at) : at(client::Route{command.shard, 0}));
  }
  const bool stale = command.staleness_max.count() > 0;
  const auto read = [&](const auto& at) {
    return stale ? session.client.query_stale(at, {command.operation}, command.staleness_max)
                 : session.client.query(at, {command.operation});
  };
  const client::Result<client::QueryResult> result =
      routed ? at_its_shard<client::QueryResult>(session, key, [&](const client::Route& route) { return read(route); })
             : read(command.shard);
  if (!result) return session.fail(result.error());
  say_stale(session, *result);
  return print_value(session, get->key, *result);
}

}  // namespace assent::cli
