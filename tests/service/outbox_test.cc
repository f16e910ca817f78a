// The outbox: what each kind of store keeps, and the relay, over gRPC against a cluster that does what a test says.
#include "service/outbox.h"

#include <gtest/gtest.h>

#include "service/sqlite_outbox.h"
#include "tests/client/fake_cluster.h"
#include "tests/service/database_kinds.h"
#include "tests/service/outbox_contract.h"

namespace assent::service::testing {
namespace {

using namespace std::chrono_literals;

struct SqliteOutboxKind {
  using Place = SqliteKind;
  using Outbox = SqliteOutbox;
  static std::unique_ptr<OutboxStore> open(Place& place) { return std::move(SqliteOutbox::open(place.path()).value()); }
};
INSTANTIATE_TYPED_TEST_SUITE_P(Sqlite, OutboxContract, SqliteOutboxKind);

class OutboxRelayTest : public ::testing::Test {
 protected:
  OutboxRelayTest() : store_(SqliteOutboxKind::open(place_)) {
    client::Options options;
    options.endpoints = cluster_.endpoints();
    auto client = client::Client::connect(options);
    EXPECT_TRUE(client);
    client_ = std::make_unique<client::Client>(std::move(*client));
  }

  void put(const std::string& payload) {
    EXPECT_TRUE(SqliteOutbox::put(place_.look(), outbox_message({{"mail", "10.0.0.9:7000", payload, "mailer"}})));
  }
  std::vector<OutboxRow> rows() { return store_->rows_after(0, 100).value(); }
  static std::string payload_of(const v1::ExecuteRequest& request) { return request.services(0).payload(); }

  // Runs a relay until the condition holds; it looks after each of its looks.
  void relay_until(const std::function<bool(const Relayed& sum)>& done) {
    std::mutex mutex;
    std::condition_variable changed;
    Relayed sum;
    bool finished = false;
    const OutboxRelay relay(*store_, *client_, {.interval = 1ms, .batch = 2, .timeout = 2s, .pause_max = 4ms},
                            [&](const Relayed& found) {
                              const std::scoped_lock lock(mutex);
                              sum.sent += found.sent;
                              sum.waiting += found.waiting;
                              if (!found.trouble.empty()) sum.trouble = found.trouble;
                              finished = finished || done(sum);
                              changed.notify_all();
                            });
    std::unique_lock lock(mutex);
    EXPECT_TRUE(changed.wait_for(lock, 30s, [&] { return finished; })) << sum.sent << " sent; " << sum.trouble;
    last_ = sum;
  }

  SqliteKind place_;
  test::FakeCluster cluster_;
  std::unique_ptr<OutboxStore> store_;
  std::unique_ptr<client::Client> client_;
  Relayed last_;
};

TEST_F(OutboxRelayTest, AMessageOutlivesItsBytes) {
  const std::vector<client::ServiceCall> calls{{"a", "h:1", Bytes("\0x", 2), ""}, {"b", "h:2", "", "b"}};
  EXPECT_EQ(read_outbox_message(outbox_message(calls)).value(), calls);
  EXPECT_FALSE(read_outbox_message(""));
  EXPECT_FALSE(read_outbox_message("\xff\xff"));
}

TEST_F(OutboxRelayTest, EachIsSentUnderTheIdThatItsRowHadBefore) {
  for (int i = 0; i < 5; ++i) put(std::to_string(i));
  std::map<std::string, std::string> named;  // at the time of the call
  cluster_.on_execute = [&](const v1::ExecuteRequest& request, v1::Transaction& out) {
    const auto store = SqliteOutboxKind::open(place_);
    const auto rows = store->rows_after(0, 100);
    for (const OutboxRow& row : *rows) {
      if (row.txn_id == request.txn_id()) named[payload_of(request)] = row.txn_id;
    }
    return test::answer(out, request.txn_id(), v1::COMMITTED);
  };
  relay_until([](const Relayed& sum) { return sum.sent == 5; });
  EXPECT_TRUE(rows().empty());
  EXPECT_EQ(named.size(), 5U);
  ASSERT_EQ(cluster_.executed().size(), 5U);
  EXPECT_EQ(cluster_.executed()[0].services(0).target(), "10.0.0.9:7000");
  EXPECT_EQ(cluster_.executed()[0].services(0).participant(), "mailer");
}

TEST_F(OutboxRelayTest, WhileTheOutcomeIsNotKnownNoOtherTransactionIsBegun) {
  put("one");
  int calls = 0;
  cluster_.on_execute = [&](const v1::ExecuteRequest& request, v1::Transaction& out) {
    return test::answer(out, request.txn_id(), ++calls < 4 ? v1::RUNNING : v1::COMMITTED);
  };
  cluster_.on_outcome = [&](const v1::GetOutcomeRequest& request, v1::Transaction& out) {
    return test::answer(out, request.txn_id(), v1::RUNNING);
  };
  relay_until([](const Relayed& sum) { return sum.sent == 1; });
  for (const v1::ExecuteRequest& request : cluster_.executed()) {
    EXPECT_EQ(request.txn_id(), cluster_.executed()[0].txn_id());
  }
}

TEST_F(OutboxRelayTest, ARelayThatDiedIsFollowedByOneThatSendsTheSameTransaction) {
  put("one");
  const std::string id(32, 'a');
  EXPECT_TRUE(store_->assign(rows().at(0), id).value());
  cluster_.on_execute = [&](const v1::ExecuteRequest& request, v1::Transaction& out) {
    return test::answer(out, request.txn_id(), v1::COMMITTED);
  };
  relay_until([](const Relayed& sum) { return sum.sent == 1; });
  EXPECT_EQ(cluster_.executed().at(0).txn_id(), id);
}

TEST_F(OutboxRelayTest, ARefusedOneIsSentAgainAsAnotherTransactionAndHoldsUpNobody) {
  put("refused");
  put("fine");
  int refused = 0;
  cluster_.on_execute = [&](const v1::ExecuteRequest& request, v1::Transaction& out) {
    if (payload_of(request) == "refused" && ++refused < 4) {
      return test::abort_with(out, request.txn_id(), "refused", "mail", "the mailbox is full");
    }
    return test::answer(out, request.txn_id(), v1::COMMITTED);
  };
  relay_until([](const Relayed& sum) { return sum.sent == 2; });
  EXPECT_NE(last_.trouble.find("the mailbox is full"), std::string::npos) << last_.trouble;
  std::set<std::string> ids;
  for (const v1::ExecuteRequest& request : cluster_.executed()) {
    if (payload_of(request) == "refused") ids.insert(request.txn_id());
  }
  EXPECT_EQ(ids.size(), 4U);
  EXPECT_EQ(payload_of(cluster_.executed().at(1)), "fine");
}

TEST_F(OutboxRelayTest, WhatNobodyKnowsTheOutcomeOfIsLeftToAPerson) {
  put("one");
  cluster_.on_execute = [&](const v1::ExecuteRequest& request, v1::Transaction& out) {
    return test::answer(out, request.txn_id(), v1::EXPIRED);
  };
  cluster_.on_outcome = [&](const v1::GetOutcomeRequest& request, v1::Transaction& out) {
    return test::answer(out, request.txn_id(), v1::EXPIRED);
  };
  relay_until([](const Relayed& sum) { return sum.waiting >= 2; });
  EXPECT_NE(last_.trouble.find("does not know any more"), std::string::npos) << last_.trouble;
  ASSERT_EQ(rows().size(), 1U);
  EXPECT_EQ(rows()[0].txn_id, cluster_.executed().at(0).txn_id());
}

TEST_F(OutboxRelayTest, WhatIsNoMessageIsSaidAndLeft) {
  EXPECT_TRUE(SqliteOutbox::put(place_.look(), "\xff"));
  put("fine");
  cluster_.on_execute = [&](const v1::ExecuteRequest& request, v1::Transaction& out) {
    return test::answer(out, request.txn_id(), v1::COMMITTED);
  };
  relay_until([](const Relayed& sum) { return sum.sent == 1 && sum.waiting >= 1; });
  EXPECT_NE(last_.trouble.find("no message"), std::string::npos) << last_.trouble;
  EXPECT_EQ(rows().size(), 1U);
}

}  // namespace
}  // namespace assent::service::testing
