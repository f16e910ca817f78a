// Columns declared ESCROW: which statements add to them without reading, and that everything else sees what was added.
#include <gmock/gmock.h>

#include "base/rng.h"
#include "participant/escrow.h"
#include "sql_adapter/counters.h"
#include "support.h"

namespace assent::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;

class EscrowColumns : public ::testing::Test {
 protected:
  EscrowColumns() {
    shard.run(
        "CREATE TABLE accounts(id INTEGER PRIMARY KEY, owner TEXT, balance INTEGER ESCROW(0, 100) NOT NULL, "
        "moves INTEGER ESCROW)");
    shard.run("INSERT INTO accounts VALUES(1, 'a', 10, 0), (2, 'b', 20, 0), (3, 'c', 30, NULL)");
  }
  static Work pay(std::int64_t amount, std::int64_t account = 1) {
    return {sql("UPDATE accounts SET balance = balance - ?1, moves = moves + 1 WHERE id = ?2",
                {number(amount), number(account)})};
  }
  bool together(const Work& a, const Work& b) {
    const bool answer = compatible_works(shard, a, b);
    EXPECT_EQ(compatible_works(shard, b, a), answer);
    return answer;
  }
  bool together(const Work& a, const std::string& b) { return together(a, Work{sql(b)}); }
  std::size_t adds(const std::string& statement, std::vector<SqlValue> parameters = {}) {
    return shard.evaluate(Work{sql(statement, std::move(parameters))}).effects.adds.size();
  }

  Shard shard;
};

TEST_F(EscrowColumns, APlainAddNamesTheColumnAndTheAmountAndNothingElse) {
  const Evaluation found = shard.evaluate(pay(3));
  EXPECT_TRUE(found.effects.change.empty());
  ASSERT_THAT(found.effects.adds, SizeIs(2));
  EXPECT_EQ(found.effects.adds[0].delta, -3);
  EXPECT_EQ(found.effects.adds[0].low, 3);
  EXPECT_EQ(found.effects.adds[0].high, 103);
  EXPECT_EQ(found.effects.adds[1].delta, 1);
  EXPECT_EQ(found.counters, (std::vector<std::int64_t>{10, 0}));
  EXPECT_EQ(found.counter_names, (std::vector<std::string>{"accounts.balance of 1", "accounts.moves of 1"}));
  EXPECT_EQ(found.result.at(0).rows_affected, 1U);
  shard.install(found);
  EXPECT_EQ(shard.rows("SELECT * FROM accounts WHERE id = 1"), "1|'a'|7|1");
  shard.expect_replicas_equal();
}

TEST_F(EscrowColumns, AddsGoBesideEachOtherAndNothingElseDoes) {
  EXPECT_TRUE(together(pay(1), pay(2)));
  EXPECT_TRUE(together(pay(1), pay(2, 2)));
  EXPECT_TRUE(together(pay(1), "UPDATE accounts SET moves = 5 + 0 WHERE id = 2"));
  EXPECT_TRUE(together(pay(1), "SELECT * FROM accounts WHERE id = 2"));
  for (const char* other :
       {"SELECT balance FROM accounts WHERE id = 1", "SELECT sum(balance) FROM accounts",
        "UPDATE accounts SET owner = 'x' WHERE id = 1", "UPDATE accounts SET balance = 5 WHERE id = 1",
        "UPDATE accounts SET balance = balance + 1 WHERE id = 1 AND balance > 5", "DELETE FROM accounts WHERE id = 1",
        "UPDATE accounts SET owner = 'x'", "DROP TABLE accounts", "CREATE TABLE more(id INTEGER PRIMARY KEY)"}) {
    EXPECT_FALSE(together(pay(1), other)) << other;
  }
  EXPECT_FALSE(together(pay(1), Work{pay(1)[0], sql("SELECT balance FROM accounts WHERE id = 1")}));
}

TEST_F(EscrowColumns, WhatIsNoPlainAddIsRunAsEver) {
  for (const char* statement : {
           "UPDATE accounts SET balance = balance + 1 WHERE id = 1 AND balance > 5",
           "UPDATE accounts SET balance = balance + 1 WHERE id = 1 AND id = 1",
           "UPDATE accounts SET balance = balance + 1 WHERE id = 1 OR id = 2",
           "UPDATE accounts SET balance = balance + 1 WHERE id = 1 RETURNING balance",
           "UPDATE accounts SET balance = balance + 1, owner = 'x' WHERE id = 1",
           "UPDATE accounts SET balance = balance + 1, balance = balance + 1 WHERE id = 1",
           "UPDATE accounts SET balance = moves + 1 WHERE id = 1",
           "UPDATE accounts SET balance = balance * 2 WHERE id = 1",
           "UPDATE accounts SET balance = balance + id WHERE id = 1",
           "UPDATE accounts SET balance = balance + '1' WHERE id = 1",
           "UPDATE accounts SET balance = (balance + 1) WHERE id = 1",
           "UPDATE OR IGNORE accounts SET balance = balance + 1 WHERE id = 1",
           "UPDATE accounts SET balance = balance + 1 WHERE owner = 'a'",
           "UPDATE accounts SET balance = balance + 1 WHERE id = 9",
           "UPDATE accounts SET moves = moves + 1 WHERE id = 3",
           "UPDATE accounts SET balance = balance + 1",
       }) {
    EXPECT_EQ(adds(statement), 0U) << statement;
  }
  EXPECT_EQ(adds("UPDATE accounts SET balance = balance + ?1 WHERE id = 1", {2.0}), 0U);
  EXPECT_THAT(shard.refuse({sql("UPDATE accounts SET balance = balance + ?1 WHERE id = 1", {SqlNull{}})}).message,
              HasSubstr("NOT NULL"));
  EXPECT_EQ(adds("update \"accounts\" set Balance = BALANCE - -5 where ID = 1"), 1U);
  EXPECT_EQ(adds("UPDATE accounts SET balance = balance + :n WHERE id = :id", {number(1), number(2)}), 1U);
}

TEST_F(EscrowColumns, I05_WorkThatAlsoLooksSeesWhatItAdded) {
  const auto look = [](const char* statement) {
    return Work{pay(4)[0], sql(statement), sql("UPDATE accounts SET balance = balance + 1 WHERE id = 2")};
  };
  for (const char* statement :
       {"SELECT balance FROM accounts WHERE id = 1", "SELECT balance FROM accounts ORDER BY id LIMIT 1",
        "UPDATE accounts SET owner = 'x' WHERE id = 1 RETURNING balance"}) {
    const Evaluation found = shard.evaluate(look(statement));
    EXPECT_TRUE(found.effects.adds.empty()) << statement;
    EXPECT_EQ(show_rows(found.result.at(1).rows), "6") << statement;
  }
  EXPECT_THAT(shard.evaluate(look("SELECT balance FROM accounts WHERE id = 3")).effects.adds, SizeIs(3));
  // A refusal that the add would have spared.
  EXPECT_EQ(shard
                .evaluate({sql("UPDATE accounts SET balance = balance - 5 WHERE id = 1"),
                           sql("UPDATE accounts SET balance = balance + 95 WHERE id = 1 AND balance = 5")})
                .result.at(1)
                .rows_affected,
            1U);
}

TEST_F(EscrowColumns, SeveralAddsToOneColumnAreOne) {
  const Evaluation found = shard.evaluate({pay(4)[0], pay(5)[0], pay(-100)[0]});
  ASSERT_THAT(found.effects.adds, SizeIs(2));
  EXPECT_EQ(found.effects.adds[0].delta, 91);
  EXPECT_EQ(found.effects.adds[0].low, 9) << "between them it stays above its floor";
  EXPECT_EQ(found.effects.adds[0].high, 9);
  EXPECT_FALSE(fits(10, found.effects.adds[0], {}));
  EXPECT_FALSE(fits(10, shard.evaluate({pay(-60)[0], pay(-60)[0]}).effects.adds[0], {}));
}

TEST_F(EscrowColumns, TheBoundsBindWhoeverWrites) {
  for (const char* statement :
       {"UPDATE accounts SET balance = 101 WHERE id = 1", "UPDATE accounts SET balance = balance - 15",
        "UPDATE accounts SET balance = 'much' WHERE id = 1", "UPDATE accounts SET balance = 0.5 WHERE id = 1",
        "INSERT INTO accounts VALUES(4, 'd', -1, 0)", "UPDATE accounts SET balance = balance - 11 WHERE owner = 'a'"}) {
    const Refusal no = shard.refuse(statement);
    EXPECT_EQ(no.reason, AbortReason::constraint) << statement;
    EXPECT_EQ(no.constraint, "ESCROW accounts.balance") << statement;
  }
  shard.run("UPDATE accounts SET balance = 100 WHERE id = 1");
  shard.run("INSERT INTO accounts VALUES(4, 'd', 0, NULL)");
  shard.expect_replicas_equal();
}

TEST_F(EscrowColumns, WhatCannotBeAddedToBlindlyCannotBeDeclaredSo) {
  for (const char* columns :
       {"id INTEGER ESCROW PRIMARY KEY", "id INTEGER PRIMARY KEY, n TEXT ESCROW", "id INTEGER PRIMARY KEY, n ESCROW",
        "id INTEGER PRIMARY KEY, n INTEGER ESCROW UNIQUE", "id INTEGER PRIMARY KEY, n INTEGER ESCROW CHECK(n > 0)",
        "id INTEGER PRIMARY KEY, n INTEGER ESCROW REFERENCES accounts",
        "id INTEGER PRIMARY KEY, n INTEGER ESCROW(5, 1)", "id INTEGER PRIMARY KEY, n INTEGER ESCROW(0.5)",
        "id INTEGER PRIMARY KEY, n INTEGER ESCROW(99999999999999999999)",
        "id TEXT COLLATE NOCASE PRIMARY KEY, n INTEGER ESCROW"}) {
    const Refusal no = shard.refuse("CREATE TABLE t(" + std::string(columns) + ")");
    EXPECT_EQ(no.reason, AbortReason::invalid) << columns;
    EXPECT_THAT(no.message, HasSubstr("ESCROW")) << columns;
  }
  EXPECT_THAT(shard.refuse("CREATE UNIQUE INDEX one ON accounts(balance)").message, HasSubstr("UNIQUE"));
  EXPECT_THAT(shard.refuse("CREATE TRIGGER one AFTER UPDATE ON accounts BEGIN SELECT 1; END").message,
              HasSubstr("trigger"));
  shard.run("CREATE INDEX many ON accounts(balance)");
  shard.run(pay(3));
  EXPECT_EQ(shard.rows("SELECT id FROM accounts WHERE balance = 7"), "1") << "an index follows";
  shard.expect_replicas_equal();
}

// Random works of adds, plain writes and reads, each run alone, as plain SQLite would.
TEST_F(EscrowColumns, GiveTheRowsThatPlainSqliteGives) {
  Rng rng(5);
  auto plain = *sql::Database::open(":memory:");
  ASSERT_TRUE(plain->execute(
      "CREATE TABLE accounts(id INTEGER PRIMARY KEY, owner TEXT, balance INTEGER NOT NULL CHECK(balance BETWEEN 0 AND "
      "100), moves INTEGER)"));
  ASSERT_TRUE(plain->execute("INSERT INTO accounts VALUES(1, 'a', 10, 0), (2, 'b', 20, 0), (3, 'c', 30, NULL)"));
  int counted = 0;
  int refused = 0;
  for (int round = 0; round < 400; ++round) {
    Work work;
    for (std::uint64_t n = rng.between(1, 3); n > 0; --n) {
      const auto id = std::to_string(rng.between(1, 4));
      const auto amount = std::to_string(rng.between(1, 25));
      const std::string sign = rng.chance(0.5) ? "+" : "-";
      switch (rng.below(5)) {
        case 0:
          work.push_back(sql(fmt::format("UPDATE accounts SET balance = balance {} 1 WHERE owner < 'c'", sign)));
          break;
        case 1: work.push_back(sql("UPDATE accounts SET moves = moves + balance WHERE id = " + id)); break;
        default:
          work.push_back(sql(fmt::format("UPDATE accounts SET balance = balance {} {}, moves = moves + 1 WHERE id = {}",
                                         sign, amount, id)));
      }
    }
    ASSERT_TRUE(plain->execute("SAVEPOINT one"));
    bool fine = true;
    for (const Operation& operation : work) fine = fine && plain->execute(std::get<SqlStatement>(operation).text);
    const auto found = shard.leader().evaluate(work);
    bool holds = found.has_value();
    for (std::size_t i = 0; holds && i < found->effects.adds.size(); ++i) {
      holds = fits(found->counters[i], found->effects.adds[i], {});
    }
    ASSERT_EQ(holds, fine) << "round " << round;
    if (holds) shard.install(*found);
    if (!holds) {
      ASSERT_TRUE(plain->execute("ROLLBACK TO one"));
    }
    ASSERT_TRUE(plain->execute("RELEASE one"));
    counted += holds && !found->effects.adds.empty() ? 1 : 0;
    refused += holds ? 0 : 1;
    const auto rows = plain->rows("SELECT * FROM accounts ORDER BY id");
    ASSERT_TRUE(rows);
    ASSERT_EQ(shard.rows("SELECT * FROM accounts ORDER BY id"), show_rows(*rows)) << "round " << round;
  }
  EXPECT_GT(counted, 60);
  EXPECT_GT(refused, 20);
  shard.expect_replicas_equal();
}

TEST_F(EscrowColumns, APreparedAddSurvivesARestartOfTheTransactionBelow) {
  const Evaluation found = shard.evaluate(pay(3));
  shard.install(found);
  (void)shard.leader().evaluate({sql("INSERT OR ROLLBACK INTO accounts VALUES(1, 'a', 1, 1)")});
  EXPECT_EQ(shard.rows("SELECT balance FROM accounts WHERE id = 1"), "7");
  shard.expect_replicas_equal();
}

TEST_F(EscrowColumns, NamesOfCountersAreReadBackAndAnyBytesAreBorne) {
  for (const std::string& key :
       {std::string("n"), std::string("\0", 1), std::string("\0c", 2), std::string("\0k\0", 3)}) {
    ASSERT_TRUE(shard.leader().add(sql::counter_of_key(key), 5));
    const auto read = shard.leader().query({KvGet{key}});
    EXPECT_EQ(std::get<SqlBlob>(read->result[0].rows.at(0).at(0)).bytes, "5");
  }
  const std::string name = shard.evaluate(pay(1)).effects.adds.at(0).key;
  EXPECT_EQ(*shard.leader().counter(name), 10);
  for (std::size_t cut = 0; cut < name.size(); ++cut) {
    EXPECT_FALSE(shard.leader().counter(name.substr(0, cut)).has_value()) << cut;
    std::string other = name;
    other[cut] = static_cast<char>(other[cut] ^ 1);
    (void)shard.leader().counter(other);
  }
  shard.run("DELETE FROM accounts WHERE id = 1");
  EXPECT_EQ(shard.leader().counter(name).error().code, ErrorCode::conflict);
}

}  // namespace
}  // namespace assent::testing
