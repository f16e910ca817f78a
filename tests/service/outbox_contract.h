// What an outbox keeps, whatever the database: a typed suite, which each program of tests fills in with its kinds.
//
// A kind has Place (database_kinds.h) and static std::unique_ptr<OutboxStore> open(Place&), and Outbox, for put().
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "service/outbox_store.h"

namespace assent::service::testing {

template <class Kind>
class OutboxContract : public ::testing::Test {
 protected:
  using Place = typename Kind::Place;

  OutboxContract() : store_(Kind::open(place_)) {}

  // A local transaction of the service's, with its message.
  void put(const Bytes& message, const char* end) {
    Place::execute(place_.look(), "BEGIN");
    EXPECT_TRUE(Kind::Outbox::put(place_.look(), message));
    Place::execute(place_.look(), end);
  }
  std::vector<OutboxRow> rows(std::int64_t after = 0, std::size_t most = 100) {
    auto found = store_->rows_after(after, most);
    EXPECT_TRUE(found) << found.error().message;
    return found ? *found : std::vector<OutboxRow>();
  }

  Place place_;
  std::unique_ptr<OutboxStore> store_;
};
TYPED_TEST_SUITE_P(OutboxContract);

TYPED_TEST_P(OutboxContract, HoldsWhatCommittedAndNothingElse) {
  this->put("taken back", "ROLLBACK");
  EXPECT_TRUE(this->rows().empty());
  const Bytes bytes("\0\xff'\\ message", 11);
  this->put(bytes, "COMMIT");
  const auto found = this->rows();
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].message, bytes);
  EXPECT_EQ(found[0].txn_id, "");
}

TYPED_TEST_P(OutboxContract, GivesTheRowsInOrderAndInPages) {
  for (int i = 0; i < 5; ++i) this->put("message " + std::to_string(i), "COMMIT");
  const auto first = this->rows(0, 2);
  ASSERT_EQ(first.size(), 2U);
  EXPECT_EQ(first[1].message, "message 1");
  const auto rest = this->rows(first[1].sequence, 100);
  ASSERT_EQ(rest.size(), 3U);
  EXPECT_EQ(rest[0].message, "message 2");
}

TYPED_TEST_P(OutboxContract, OneOfTwoRelaysNamesTheTransactionAndThatOutlivesThem) {
  this->put("message", "COMMIT");
  const OutboxRow row = this->rows().at(0);
  const std::string first(32, 'a');
  const std::string second(32, 'b');
  EXPECT_TRUE(this->store_->assign(row, first).value());
  const auto other = TypeParam::open(this->place_);
  EXPECT_FALSE(other->assign(row, second).value()) << "it has a name by now";
  EXPECT_EQ(other->rows_after(0, 9)->at(0).txn_id, first);
  EXPECT_TRUE(other->assign(this->rows().at(0), second).value());
  EXPECT_EQ(this->rows().at(0).txn_id, second);
}

TYPED_TEST_P(OutboxContract, WhatWasSentIsGoneAndItsNumberIsNotUsedAgain) {
  this->put("message", "COMMIT");
  const OutboxRow row = this->rows().at(0);
  EXPECT_TRUE(this->store_->remove(row));
  EXPECT_TRUE(this->store_->remove(row)) << "by two relays";
  EXPECT_FALSE(this->store_->assign(row, std::string(32, 'a')).value());
  EXPECT_TRUE(this->rows().empty());
  this->put("another", "COMMIT");
  EXPECT_GT(this->rows().at(0).sequence, row.sequence);
}

REGISTER_TYPED_TEST_SUITE_P(OutboxContract, HoldsWhatCommittedAndNothingElse, GivesTheRowsInOrderAndInPages,
                            OneOfTwoRelaysNamesTheTransactionAndThatOutlivesThem,
                            WhatWasSentIsGoneAndItsNumberIsNotUsedAgain);

}  // namespace assent::service::testing
