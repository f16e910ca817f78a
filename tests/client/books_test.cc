// The judgement over the books must find each thing that can be wrong with them.
#include "cli/bank/books.h"

#include <gmock/gmock.h>

namespace assent::bank {
namespace {

TxnId txn(std::uint8_t number) {
  TxnId id;
  id.bytes[15] = number;
  return id;
}

// Two shards; accounts 0 and 2 on s1, 1 and 3 on s2. One transfer of 30 from 0 to 1 and one of 5 from 2 to 0 (both on
// s1).
struct Books : ::testing::Test {
  Bank bank{{"s1", "s2"}, 2, 100};
  Balances before{{0, 100}, {1, 100}, {2, 100}, {3, 100}};
  Transfer cross{0, 1, 30};
  Transfer local{2, 0, 5};
  Balances after{{0, 75}, {1, 130}, {2, 95}, {3, 100}};
  std::vector<Entry> entries{{"s1", txn(1), cross}, {"s2", txn(1), cross}, {"s1", txn(2), local}};
  Ledger ledger{{{txn(1), cross}, {txn(2), local}}, {txn(8)}, {txn(9)}};

  [[nodiscard]] Judgement judged() const { return judge(bank, before, after, entries, &ledger); }
};

TEST_F(Books, SoundBooksAreSound) {
  const Judgement judgement = judged();
  EXPECT_TRUE(judgement.sound()) << ::testing::PrintToString(judgement.complaints());
  EXPECT_EQ(judgement.total_after, 400);
}
TEST_F(Books, AnUnresolvedTransferMayBeThereOrNot) {
  entries.push_back({"s1", txn(9), {0, 2, 1}});
  after[0] -= 1;
  after[2] += 1;
  EXPECT_TRUE(judged().sound());
}
TEST_F(Books, MoneyThatAppears) {
  after[3] += 1;
  EXPECT_EQ(judged().total_after, 401);
  EXPECT_EQ(judged().accounts_off, 1U);
  EXPECT_FALSE(judged().sound());
}
TEST_F(Books, MoneyInTheWrongAccount) {
  after[3] += 1;
  after[1] -= 1;
  EXPECT_EQ(judged().total_after, judged().total_before);
  EXPECT_EQ(judged().accounts_off, 2U);
}
TEST_F(Books, AnAcknowledgedTransferThatIsMissing) {
  entries.pop_back();
  after[0] -= 5;
  after[2] += 5;
  EXPECT_EQ(judged().acknowledged_missing, 1U);
  EXPECT_EQ(judged().accounts_off, 0U);
}
TEST_F(Books, HalfATransfer) {
  entries.erase(entries.begin() + 1);
  EXPECT_EQ(judged().torn, 1U);
  EXPECT_EQ(judged().acknowledged_missing, 1U);
}
TEST_F(Books, ATransferEnteredTwice) {
  entries.push_back(entries.front());
  EXPECT_EQ(judged().torn, 1U);
  EXPECT_EQ(judged().acknowledged_missing, 1U);
}
TEST_F(Books, ATransferWithAnotherAmountThanAcknowledged) {
  ledger.acknowledged[1].transfer.amount = 6;
  EXPECT_EQ(judged().acknowledged_missing, 1U);
}
TEST_F(Books, AnAbortedTransferThatIsThere) {
  entries.push_back({"s1", txn(8), {0, 2, 1}});
  EXPECT_EQ(judged().aborted_present, 1U);
}
TEST_F(Books, ATransferOfNobody) {
  entries.push_back({"s1", txn(7), {0, 2, 1}});
  EXPECT_EQ(judged().unexplained, 1U);
  EXPECT_EQ(judge(bank, before, after, entries, nullptr).unexplained, 0U) << "without a ledger nobody is asked";
}
TEST_F(Books, AnAccountThatAppearsOrGoes) {
  after[4] = 0;
  EXPECT_EQ(judged().accounts_off, 1U);
  after.erase(4);
  after.erase(3);
  EXPECT_EQ(judged().accounts_off, 1U);
}
TEST_F(Books, AnythingInDoubtIsAComplaint) {
  Judgement judgement = judged();
  judgement.in_doubt_left = 2;
  EXPECT_THAT(judgement.complaints(), ::testing::ElementsAre("2 transactions are still in doubt"));
}

TEST(Bank, AccountsHaveIdsThatReadBack) {
  for (const std::uint64_t account : {0ULL, 7ULL, 999'999ULL, 1'000'000ULL})
    EXPECT_EQ(account_number(account_id(account)), account);
  EXPECT_EQ(account_number("acct/"), std::nullopt);
  EXPECT_EQ(account_number("acct/12x"), std::nullopt);
  EXPECT_EQ(account_number("other/1"), std::nullopt);
}

TEST(Bank, TransfersAreBetweenTwoAccountsOnTwoShardsAsOftenAsAsked) {
  const Bank bank{{"s1", "s2", "s3"}, 10, 100};
  Rng rng(1);
  for (const double cross_shard : {0.0, 0.5, 1.0}) {
    int crossing = 0;
    for (int i = 0; i < 2'000; ++i) {
      const Transfer transfer = random_transfer(bank, cross_shard, rng);
      EXPECT_NE(transfer.debit, transfer.credit);
      EXPECT_LT(transfer.debit, bank.accounts());
      EXPECT_LT(transfer.credit, bank.accounts());
      EXPECT_GT(transfer.amount, 0);
      crossing += bank.shard_of(transfer.debit) != bank.shard_of(transfer.credit) ? 1 : 0;
    }
    EXPECT_NEAR(crossing / 2'000.0, cross_shard, 0.05);
  }
}

TEST(Bank, WorksWithOneShardAndWithOneAccountOnEach) {
  Rng rng(1);
  for (int i = 0; i < 100; ++i) {
    const Transfer local = random_transfer(Bank{{"s1"}, 2, 100}, 1.0, rng);
    EXPECT_NE(local.debit, local.credit);
    const Transfer cross = random_transfer(Bank{{"s1", "s2"}, 1, 100}, 0.0, rng);
    EXPECT_NE(cross.debit, cross.credit);
  }
}

TEST(Bank, ATransferEntersItselfOnEveryShardThatItTouches) {
  const Bank bank{{"s1", "s2"}, 2, 100};
  const client::Transaction cross = transaction_of(bank, {0, 1, 30}, txn(1));
  ASSERT_EQ(cross.branches.size(), 2U);
  EXPECT_EQ(cross.branches[0].work.size(), 2U);
  EXPECT_EQ(cross.branches[0].work[1], cross.branches[1].work[1]);
  const client::Transaction local = transaction_of(bank, {0, 2, 30}, txn(1));
  ASSERT_EQ(local.branches.size(), 1U);
  EXPECT_EQ(local.branches[0].work.size(), 3U);
}

TEST(Bank, BalancesAreReadFromResultsWhenTheyAreThere) {
  const Bank bank{{"s1", "s2"}, 2, 100};
  const OperationResult balance70{{"balance"}, {{std::int64_t{70}}}, 1};
  const OperationResult balance130{{"balance"}, {{std::int64_t{130}}}, 1};
  client::TxnOutcome outcome;
  outcome.results = {{"s1", {balance70, {}}}, {"s2", {balance130, {}}}};
  const auto cross = balances_after(bank, {0, 1, 30}, outcome);
  ASSERT_TRUE(cross);
  EXPECT_EQ(cross->debit, 70);
  EXPECT_EQ(cross->credit, 130);
  outcome.results = {{"s1", {balance70, {}, balance130}}};
  ASSERT_TRUE(balances_after(bank, {0, 2, 30}, outcome));
  EXPECT_EQ(balances_after(bank, {0, 2, 30}, outcome)->credit, 130);
  EXPECT_FALSE(balances_after(bank, {0, 1, 30}, client::TxnOutcome{}));
}

}  // namespace
}  // namespace assent::bank
