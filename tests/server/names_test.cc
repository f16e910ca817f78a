#include "txn_proto/names.h"

#include <gtest/gtest.h>

#include <map>

namespace assent {
namespace {

TEST(Names, KnowsAName) {
  for (const char* good :
       {"n1", "0", "shard-eu_1.a", "a23456789012345678901234567890123456789012345678901234567890123"})
    EXPECT_TRUE(is_name(good)) << good;
  for (const char* bad : {"", "N1", "-a", ".a", "a b", "a:1", "a,b", "ä"}) EXPECT_FALSE(is_name(bad)) << bad;
  EXPECT_FALSE(is_name(std::string(64, 'a')));
}

TEST(Names, ShortNamesAreTheirNumber) {
  EXPECT_EQ(number_of_name("n1"), 0x6e31U);
  EXPECT_EQ(number_of_name(""), 0U);
  for (const char* name : {"c0", "s1", "s12", "shard-7"}) EXPECT_EQ(name_of_number(number_of_name(name)), name);
}

TEST(Names, LongNamesNeverMeetShortOnes) {
  const std::uint64_t number = number_of_name("shard-eu-west-1");
  EXPECT_NE(number >> 63U, 0U);
  EXPECT_EQ(name_of_number(number), std::nullopt);
  EXPECT_NE(number, number_of_name("shard-eu-west-2"));
  EXPECT_EQ(name_of_number(0), std::nullopt);
  EXPECT_EQ(name_of_number(0x4e31), std::nullopt);  // "N1" is no name
}

TEST(Names, DirectoryFindsBothWays) {
  GroupDirectory groups;
  ASSERT_TRUE(groups.add("s2", GroupKind::shard));
  ASSERT_TRUE(groups.add("c0", GroupKind::coordinator));
  ASSERT_TRUE(groups.add("s1", GroupKind::shard));
  EXPECT_FALSE(groups.add("s1", GroupKind::coordinator));
  EXPECT_EQ(groups.list(GroupKind::shard), "s1, s2");
  EXPECT_EQ(groups.find("s1")->id, group_id("s1"));
  EXPECT_EQ(groups.find(group_id("c0"))->kind, GroupKind::coordinator);
  EXPECT_EQ(groups.find("s3"), nullptr);
  EXPECT_EQ(groups.name(group_id("s2")), "s2");
  EXPECT_EQ(groups.name(GroupId(77)), "group 77");
  EXPECT_EQ(groups.name(GroupId()), "");
}

TEST(Names, ANewCoordinatorGroupTakesOnlyItsShare) {
  const std::vector<GroupId> before{group_id("c0"), group_id("c1"), group_id("c2")};
  std::vector<GroupId> after = before;
  after.push_back(group_id("c3"));
  std::map<GroupId, int> share;
  int moved = 0;
  constexpr int count = 4000;
  for (int i = 0; i < count; ++i) {
    const TxnId txn = TxnId::make(ClusterMillis(1'700'000'000'000), 5, static_cast<std::uint64_t>(i) * 77);
    const GroupId now = coordinator_of(txn, before);
    const GroupId then = coordinator_of(txn, after);
    ++share[now];
    if (now != then) {
      EXPECT_EQ(then, group_id("c3"));
      ++moved;
    }
  }
  for (const auto& [group, size] : share) EXPECT_NEAR(size, count / 3.0, count / 20.0);
  EXPECT_NEAR(moved, count / 4.0, count / 20.0);
  EXPECT_TRUE(coordinator_of(TxnId{}, {}).none());
}

}  // namespace
}  // namespace assent
