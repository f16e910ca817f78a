#include "examples/bank/postgres_account.h"

#include <cstdio>

using namespace assent::client;

namespace {

struct Agent {
  std::string participant;
  std::string target;
};

// What the agent is asked to do is SQL of its database, as JSON: docs/SERVICES.md.
ServiceCall in_postgres(const Agent& agent, const std::string& statements) {
  return {"carols", agent.target, R"x({"statements":[)x" + statements + "]}", agent.participant};
}

bool committed(const char* what, const Result<TxnOutcome>& outcome) {
  if (outcome && outcome->committed()) return true;
  std::printf("%-12s %s\n", what,
              !outcome             ? outcome.error().text().c_str()
              : outcome->aborted() ? outcome->abort.message.c_str()
                                   : outcome->note.c_str());
  return false;
}

bool open_account(Client& client, const Agent& agent) {
  Transaction transaction;
  transaction.call(in_postgres(agent, R"x(
      {"sql":"CREATE TABLE IF NOT EXISTS example_accounts(owner text PRIMARY KEY, balance bigint NOT NULL)"},
      {"sql":"INSERT INTO example_accounts VALUES($1, $2) ON CONFLICT(owner) DO UPDATE SET balance = $2",
       "params":["carol", 100]})x"));
  return committed("carol", client.execute(transaction));
}

// The money leaves SQLite on three nodes and arrives in PostgreSQL, or nothing happens.
Transaction payment(const Agent& agent, int amount) {
  const std::string text = std::to_string(amount);
  Transaction transaction;
  transaction.on("s1", sql("UPDATE example_accounts SET balance = balance - ?1 WHERE owner = 'alice'", amount));
  transaction.call(in_postgres(
      agent, R"x({"sql":"UPDATE example_accounts SET balance = balance + $1 WHERE owner = $2","params":[)x" + text +
                 R"x(, "carol"],"rows":1})x"));
  return transaction;
}

// An agent tells no rows; a transaction that needs one is as good a question.
bool carol_has(Client& client, const Agent& agent, int balance) {
  Transaction question;
  question.call(in_postgres(
      agent, R"x({"sql":"SELECT 1 FROM example_accounts WHERE owner = $1 AND balance = $2","params":["carol", )x" +
                 std::to_string(balance) + R"x(],"rows":1})x"));
  const auto answer = client.execute(question);
  return answer && answer->committed();
}

}  // namespace

bool pay_into_postgres(Client& client, const std::string& participant, const std::string& at) {
  const Agent agent{participant, at};
  if (!open_account(client, agent)) return false;
  if (!committed("pay carol 30", client.execute(payment(agent, 30)))) return false;
  if (!carol_has(client, agent, 130)) {
    std::printf("%-12s does not have 130\n", "carol");
    return false;
  }
  std::printf("%-12s has 130, in PostgreSQL\n", "carol");
  const auto refused = client.execute(payment(agent, 500));
  if (!refused || !refused->aborted()) {
    std::printf("%-12s alice cannot have that\n", "pay 500");
    return false;
  }
  std::printf("%-12s aborted by %s: %s\n", "pay 500", refused->abort.participant.c_str(),
              refused->abort.message.c_str());
  return carol_has(client, agent, 130);
}
