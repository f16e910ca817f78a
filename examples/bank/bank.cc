// A bank on two shards, in five minutes.
//
//   scripts/cluster.sh start /tmp/assent        prints ASSENT_ENDPOINTS
//   ASSENT_ENDPOINTS=127.0.0.1:... build/release/bin/bank
//
// Alice has her account on shard s1, Bob his on s2. She pays him; the money leaves one database and arrives in the
// other, or nothing happens at all, whatever machine dies in between. Then she tries to pay more than she has.
//
//   ... build/release/bin/bank --postgres accounts@127.0.0.1:7430
//
// Carol's account is in a PostgreSQL database besides, which the assent-agent of that name and address stands before.
// examples/bank/postgres.sh starts all that is needed for it.
#include <cstdio>
#include <cstdlib>
#include <string>

#include "client/client.h"
#include "examples/bank/postgres_account.h"

using namespace assent::client;

// What a call can come back with: an error (nobody could be asked; certainly nothing happened), or an outcome.
static void print(const char* what, const Result<TxnOutcome>& result) {
  if (!result) {
    std::printf("%-12s not begun: %s\n", what, result.error().text().c_str());
  } else if (result->committed()) {
    std::printf("%-12s committed as %s\n", what, result->id.to_hex().c_str());
  } else if (result->aborted()) {
    const Abort& abort = result->abort;
    std::printf("%-12s aborted by %s: %s (constraint %s)\n", what, abort.participant.c_str(), abort.message.c_str(),
                abort.constraint.empty() ? "none" : abort.constraint.c_str());
  } else {
    std::printf("%-12s unknown: %s\n", what, result->note.c_str());
  }
}

static void fail(const char* what, const Error& error) {
  std::fprintf(stderr, "%s: %s\n", what, error.text().c_str());
  std::exit(1);
}

// One statement on one shard is a transaction, too.
static void run(Client& client, const char* shard, assent::SqlStatement statement) {
  Transaction transaction;
  transaction.on(shard, std::move(statement));
  const Result<TxnOutcome> outcome = client.execute(transaction);
  if (!outcome) fail(shard, outcome.error());
  if (!outcome->committed()) print(shard, outcome);
}

static void open_account(Client& client, const char* shard, const char* owner, int balance) {
  run(client, shard,
      sql("CREATE TABLE IF NOT EXISTS example_accounts(owner TEXT PRIMARY KEY, balance INTEGER NOT NULL,"
          " CONSTRAINT no_overdraft CHECK(balance >= 0))"));
  run(client, shard,
      sql("INSERT INTO example_accounts VALUES(?1, ?2) ON CONFLICT(owner) DO UPDATE SET balance = ?2", owner, balance));
}

// Both statements happen, or neither does.
static Transaction payment(int amount) {
  Transaction transaction;
  transaction.on("s1", sql("UPDATE example_accounts SET balance = balance - ?1 WHERE owner = 'alice'", amount))
      .on("s2", sql("UPDATE example_accounts SET balance = balance + ?1 WHERE owner = 'bob'", amount));
  return transaction;
}

static void print_balance(Client& client, const char* shard) {
  const Result<QueryResult> result = client.query(shard, {sql("SELECT owner, balance FROM example_accounts")});
  if (!result) fail("balance", result.error());
  for (const auto& row : result->results.front().rows) {
    std::printf("%-12s has %lld\n", std::get<std::string>(row[0]).c_str(),
                static_cast<long long>(std::get<std::int64_t>(row[1])));
  }
}

int main(int argc, char** argv) {
  const char* endpoints = std::getenv("ASSENT_ENDPOINTS");
  const auto parsed = parse_endpoints(endpoints == nullptr ? "127.0.0.1:7420" : endpoints);
  if (!parsed) fail("ASSENT_ENDPOINTS", parsed.error());

  // One client serves the whole program, from any number of threads. It finds the nodes and the leaders by itself.
  Result<Client> client = Client::connect({.endpoints = *parsed});
  if (!client) fail("connect", client.error());

  open_account(*client, "s1", "alice", 100);
  open_account(*client, "s2", "bob", 100);

  if (argc == 3 && std::string(argv[1]) == "--postgres") {
    const std::string service = argv[2];
    const std::size_t at = service.find('@');
    if (at == std::string::npos) {
      std::fprintf(stderr, "--postgres takes NAME@HOST:PORT of an assent-agent\n");
      return 2;
    }
    return pay_into_postgres(*client, service.substr(0, at), service.substr(at + 1)) ? 0 : 1;
  }

  // A transaction has an id, which the client chooses unless you do. An id is attempted once and its outcome never
  // changes: sending this again, now or after a crash of yours, returns the outcome and pays nothing twice.
  Transaction fifty = payment(50);
  fifty.id = new_txn_id();
  print("pay 50", client->execute(fifty));
  print("pay 50 again", client->execute(fifty));
  print_balance(*client, "s1");
  print_balance(*client, "s2");

  // The shard refuses, by the name of the constraint, and Bob gets nothing.
  print("pay 500", client->execute(payment(500)));
  print_balance(*client, "s2");

  // Somebody else may hold a lock that this needs. Such an abort is worth another attempt, which is a new transaction
  // with a new id; run_with_retry makes them, keeping the age of the first so that it gets its turn.
  print("pay 1", client->run_with_retry([](const assent::TxnId&) { return payment(1); }));

  // Reads in between: the function reads both balances and evens them out. What it writes waits until it returns; if
  // what it read is not so any more by then, nothing happens and it runs again.
  const auto balance = [](Txn& t, const char* shard) -> long long {
    const auto rows = t.query(shard, sql("SELECT balance FROM example_accounts"));
    return rows ? static_cast<long long>(std::get<std::int64_t>(rows->rows.at(0).at(0))) : 0;  // run() says why
  };
  print("even out", client->run({}, [&](Txn& t) {
    const long long half = (balance(t, "s2") - balance(t, "s1")) / 2;
    t.execute("s1", sql("UPDATE example_accounts SET balance = balance + ?1", half));
    t.execute("s2", sql("UPDATE example_accounts SET balance = balance - ?1", half));
  }));

  // Both shards as they were at one instant, without locks.
  const auto total = client->read(
      {{"s1", {sql("SELECT balance FROM example_accounts")}}, {"s2", {sql("SELECT balance FROM example_accounts")}}});
  if (!total) fail("total", total.error());
  long long sum = 0;
  for (const BranchResult& branch : total->results) sum += std::get<std::int64_t>(branch.results[0].rows[0][0]);
  std::printf("%-12s %lld\n", "together", sum);

  // Any outcome can be asked for later, by id. With seal, the answer is final even for what nobody has heard of yet.
  print("asked", client->get_outcome({.id = fifty.id, .seal = false, .wait = {}, .group = {}}));
  print("never sent", client->get_outcome({.id = new_txn_id(), .seal = true, .wait = {}, .group = {}}));
  return 0;
}
