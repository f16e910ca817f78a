// Each rule of the bank checker is shown books that break it, and books that keep it.
#include "sim/workloads/bank_checker.h"

#include <gtest/gtest.h>

namespace assent::sim {
namespace {

struct BankCheckerTest : testing::Test {
  Schedule schedule;
  Recorder recorder{schedule};
  Bank bank{Backend::sql, {GroupId(2), GroupId(3)}, 4, false};
  BankChecker checker{recorder, bank};
  const Transfer one{TxnId::make(ClusterMillis(1), 1, 1), 0, 1, 30};
  const Transfer two{TxnId::make(ClusterMillis(2), 2, 2), 2, 3, 5};

  static Books opening() {
    Books books;
    for (AccountId account = 0; account < 4; ++account) books[account].balance = Bank::opening_balance;
    return books;
  }
  static Books after(const std::vector<Transfer>& transfers) {
    Books books = opening();
    for (const Transfer& transfer : transfers) {
      books[transfer.from].balance -= transfer.amount;
      books[transfer.to].balance += transfer.amount;
      ++books[transfer.from].moves;
      ++books[transfer.to].moves;
    }
    return books;
  }
  static Journal journal(const std::vector<Transfer>& transfers) {
    Journal journal;
    for (const Transfer& transfer : transfers) {
      journal[transfer.txn][transfer.from] = -transfer.amount;
      journal[transfer.txn][transfer.to] = transfer.amount;
    }
    return journal;
  }
  void SetUp() override {
    checker.invoked(one);
    checker.invoked(two);
  }
  void expect_wrong(std::string_view rule) {
    EXPECT_EQ(recorder.verdict(), Verdict::wrong);
    EXPECT_NE(recorder.why().find(rule), std::string::npos) << recorder.why();
  }
};

TEST_F(BankCheckerTest, AcceptsGoodBooks) {
  checker.read_all(opening(), checker.floor());
  checker.acknowledged(one);
  checker.read_all(after({one, two}), checker.floor());
  checker.read_all(after({one}), checker.floor());  // begun before the other was acknowledged
  checker.audit(after({one, two}), journal({one, two}), {});
  EXPECT_FALSE(recorder.failed()) << recorder.why();
}

TEST_F(BankCheckerTest, FindsAReadThatMissesWhatWasAcknowledged) {
  checker.acknowledged(one);
  checker.read(opening(), checker.floor());
  expect_wrong("R7");
}

TEST_F(BankCheckerTest, FindsMoneyMadeOfNothing) {
  Books books = after({one});
  books[3].balance += 1;
  checker.read_all(books, checker.floor());
  expect_wrong("I2");
}

TEST_F(BankCheckerTest, FindsHalfATransferInASnapshot) {
  Books books = opening();
  books[0].balance -= 30;
  books[0].moves = 1;
  checker.read_all(books, checker.floor());
  expect_wrong("I2");
}

TEST_F(BankCheckerTest, FindsSnapshotsThatSawTwoTransfersInOppositeOrders) {
  checker.read_all(after({one}), checker.floor());
  checker.read_all(after({two}), checker.floor());
  expect_wrong("I1");
}

TEST_F(BankCheckerTest, FindsAnOverdraft) {
  Books books = opening();
  books[0].balance = -1;
  checker.read(books, checker.floor());
  expect_wrong("I2");
}

TEST_F(BankCheckerTest, FindsATransferThatHappenedTwice) {
  checker.read(after({one, one}), checker.floor());
  expect_wrong("A8");
}

TEST_F(BankCheckerTest, FindsAnAcknowledgedTransferThatIsNotInTheBooks) {
  checker.acknowledged(one);
  checker.audit(opening(), {}, {});
  expect_wrong("D1");
}

TEST_F(BankCheckerTest, FindsHalfATransferInTheJournal) {
  Journal half = journal({one});
  half[one.txn].erase(one.to);
  checker.audit(after({one}), half, {});
  expect_wrong("A1");
}

TEST_F(BankCheckerTest, FindsATransferToldAbortedInTheBooks) {
  std::map<TxnId, Fate> fates;
  fates[one.txn].told = Outcome::aborted;
  fates[one.txn].decided = Attempt{};
  checker.audit(after({one}), journal({one}), fates);
  expect_wrong("A6");
}

TEST_F(BankCheckerTest, FindsATransferInTheBooksThatNoLogCommitted) {
  std::map<TxnId, Fate> fates;
  fates[one.txn];
  checker.audit(after({one}), journal({one}), fates);
  expect_wrong("A1");
}

TEST_F(BankCheckerTest, FindsOtherAmountsThanWereAskedFor) {
  Transfer other = one;
  other.amount += 1;
  checker.audit(after({other}), journal({other}), {});
  expect_wrong("A8");
}

TEST_F(BankCheckerTest, FindsBalancesThatTheJournalDoesNotExplain) {
  checker.audit(after({one, two}), journal({one}), {});
  expect_wrong("I2");
}

TEST_F(BankCheckerTest, FindsATransferThatNobodyAskedFor) {
  const Transfer foreign{TxnId::make(ClusterMillis(9), 9, 9), 0, 1, 1};
  checker.audit(after({foreign}), journal({foreign}), {});
  expect_wrong("A8");
}

}  // namespace
}  // namespace assent::sim
