// Which transactions are listed: what records of several nodes say, and what the leaders see.
#include "server/txn_list.h"

#include <gmock/gmock.h>

namespace assent {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr const char* older = "0193a6b25e1c7c3fa1d0c9be6f2277a4";
constexpr const char* newer = "0193a6b25e1c7c3fa1d0c9be6f2277a5";

class TxnList : public ::testing::Test {
 protected:
  TxnList() {
    EXPECT_TRUE(groups_.add("c0", GroupKind::coordinator));
    EXPECT_TRUE(groups_.add("s1", GroupKind::shard));
    EXPECT_TRUE(groups_.add("s2", GroupKind::shard));
    for (const char* state : {"PREPARING", "PREPARED", "COMMITTING", "ABORTING"}) open_.add_states(state);
  }
  static v1::TxnSummary summary(const std::string& id, const std::string& state) {
    v1::TxnSummary out;
    out.set_txn_id(id);
    out.set_state(state);
    out.set_coordinator("c0");
    for (const char* participant : {"s1", "pay"}) out.add_participants(participant);  // pay: a service
    return out;
  }
  static v1::TxnPage page(const std::vector<v1::TxnSummary>& txns, const std::string& next = {}) {
    v1::TxnPage out;
    for (const v1::TxnSummary& one : txns) *out.add_txns() = one;
    out.set_next_cursor(next);
    return out;
  }
  static v1::GroupSight sight(const std::string& group, const std::string& stage, const std::string& id = newer) {
    v1::GroupSight out;
    out.set_group(group);
    out.mutable_sight()->set_txn_id(id);
    out.mutable_sight()->set_stage(stage);
    out.mutable_sight()->set_protocol(v1::TWO_PHASE);
    out.mutable_sight()->set_coordinator(group == "c0" ? "" : "c0");
    if (stage != "asking") out.mutable_sight()->add_participants("s1");
    out.mutable_sight()->set_millis(1'500);
    return out;
  }
  std::vector<TxnId> ended(const v1::TxnSummary& one, const LeadersView& view) const {
    return ended_of(page({one}), view, groups_);
  }
  static std::vector<std::string> states(const v1::TxnPage& page) {
    std::vector<std::string> out;
    for (const v1::TxnSummary& one : page.txns()) out.push_back(one.state());
    return out;
  }

  GroupDirectory groups_;
  v1::TxnsRequest open_;
};

TEST_F(TxnList, WhatNoLeaderOfItsGroupsSeesIsOver) {
  const v1::TxnSummary one = summary(newer, "PREPARED");
  EXPECT_THAT(ended(one, {.sights = {}, .told = {"c0", "s1"}}), ElementsAre(*TxnId::from_hex(newer)));
  EXPECT_THAT(ended(one, {.sights = {}, .told = {"c0", "s2"}}), IsEmpty()) << "s1 may hold it still";
  EXPECT_THAT(ended(one, {.sights = {sight("s1", "in-doubt")}, .told = {"c0", "s1"}}), IsEmpty());
  EXPECT_THAT(ended(one, {.sights = {sight("s1", "in-doubt", older)}, .told = {"c0", "s1"}}), ::testing::SizeIs(1));
  EXPECT_THAT(ended(one, {.sights = {sight("c0", "asking"), sight("s1", "forced")}, .told = {"c0", "s1"}}),
              ::testing::SizeIs(1))
      << "somebody asks about it, an operator's word stands: it is over all the same";
  EXPECT_THAT(ended(summary(newer, "COMMITTED"), {.sights = {}, .told = {"c0", "s1"}}), IsEmpty()) << "it says so";
}

TEST_F(TxnList, OfWhoseGroupsNothingIsKnownAllAreAsked) {
  v1::TxnSummary one = summary(newer, "ACTIVE");
  one.clear_coordinator();
  one.clear_participants();
  EXPECT_THAT(ended(one, {.sights = {}, .told = {"c0", "s1"}}), IsEmpty());
  EXPECT_THAT(ended(one, {.sights = {}, .told = {"c0", "s1", "s2"}}), ::testing::SizeIs(1));
}

TEST_F(TxnList, AnEndThatSomebodyRecordedTakesItsPlace) {
  v1::TxnRecord old_leader;
  *old_leader.mutable_summary() = summary(newer, "PREPARED");
  v1::TxnRecord leader;
  *leader.mutable_summary() = summary(newer, "COMMITTED");
  const std::vector<TxnId> over{*TxnId::from_hex(newer)};
  v1::TxnPage list = page({summary(newer, "PREPARED"), summary(older, "PREPARED")}, older);
  settle(over, {{old_leader, leader}}, open_, list);
  EXPECT_THAT(states(list), ElementsAre("PREPARED")) << "it was asked for what is open";
  EXPECT_EQ(list.txns(0).txn_id(), older);
  EXPECT_EQ(list.next_cursor(), older);

  v1::TxnsRequest both = open_;
  both.add_states("COMMITTED");
  list = page({summary(newer, "PREPARED"), summary(older, "PREPARED")});
  settle(over, {{old_leader, leader}}, both, list);
  EXPECT_THAT(states(list), ElementsAre("COMMITTED", "PREPARED"));
}

// The node that recorded it was started anew.
TEST_F(TxnList, WhatLeadersSeeIsListedWithoutARecord) {
  LeadersView view{.sights = {sight("s1", "in-doubt"), sight("s2", "resolving")}, .told = {}};
  v1::TxnPage list = page_of(view, open_);
  ASSERT_THAT(states(list), ElementsAre("PREPARED"));
  EXPECT_EQ(list.txns(0).coordinator(), "c0");
  EXPECT_EQ(list.txns(0).protocol(), "two-phase");
  EXPECT_EQ(list.txns(0).duration_micros(), 1'500'000U);
  EXPECT_EQ(list.txns(0).started_unix_micros() / 1'000,
            static_cast<std::int64_t>(TxnId::from_hex(newer)->created().value));

  view.sights.push_back(sight("c0", "finishing"));
  EXPECT_THAT(states(page_of(view, open_)), ElementsAre("ABORTING")) << "the coordinator knows better";
  view.sights.push_back(sight("s2", "waiting", older));
  EXPECT_THAT(states(page_of(view, open_)), ElementsAre("ABORTING", "PREPARING")) << "the newest first";

  v1::TxnsRequest asked = open_;
  asked.set_cursor(newer);
  EXPECT_THAT(states(page_of(view, asked)), ElementsAre("PREPARING"));
  asked = open_;
  asked.set_slower_than_micros(1'600'000);
  EXPECT_THAT(states(page_of(view, asked)), IsEmpty());
  EXPECT_THAT(states(page_of({.sights = {sight("c0", "asking")}, .told = {}}, open_)), IsEmpty());
}

TEST_F(TxnList, TheSummaryThatTellsMostIsTaken) {
  v1::TxnSummary answered = summary(newer, "COMMITTING");
  answered.set_outcome("committed");
  answered.set_answered(true);
  v1::TxnSummary bare = summary(newer, "ACTIVE");
  bare.clear_coordinator();
  EXPECT_THAT(states(merged({page({bare}), page({summary(newer, "PREPARED")}), page({answered})}, 10)),
              ElementsAre("COMMITTING"));
  EXPECT_THAT(states(merged({page({bare}), page({summary(newer, "PREPARED")})}, 10)), ElementsAre("PREPARED"));
}

TEST_F(TxnList, APageThatIsCutShortSaysNothingOfWhatIsOlder) {
  const v1::TxnPage cut = page({summary(newer, "PREPARED")}, newer);
  const v1::TxnPage whole = page({summary(newer, "PREPARED"), summary(older, "PREPARED")});
  const v1::TxnPage both = merged({cut, whole}, 10);
  EXPECT_EQ(both.txns_size(), 1);
  EXPECT_EQ(both.next_cursor(), newer);
  EXPECT_EQ(merged({whole}, 1).next_cursor(), newer);
  EXPECT_EQ(merged({whole}, 2).next_cursor(), "");
}

}  // namespace
}  // namespace assent
