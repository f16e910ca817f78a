// What the client believes about leaders as answers, hints and failures come in.
#include "client/directory.h"

#include <gmock/gmock.h>

namespace assent::client {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

ReplicaStatus replica(const std::string& group, const std::string& leader, std::uint64_t epoch, bool leads = false) {
  ReplicaStatus out;
  out.group = group;
  out.role = group.starts_with("c") ? "coordinator" : "shard";
  out.members = {"n1", "n2", "n3"};
  out.leader = leader;
  out.epoch = epoch;
  out.leads = leads;
  return out;
}

NodeStatus node(const std::string& name, std::vector<ReplicaStatus> replicas) {
  NodeStatus out;
  out.node = name;
  out.nodes = {{"n1", "h1:1", ""}, {"n2", "h2:1", ""}, {"n3", "", ""}};
  out.replicas = std::move(replicas);
  return out;
}

TEST(Directory, LearnsEndpointsFromAnswersButPrefersWhatWorked) {
  Directory directory({"localhost:9"});
  directory.answered("localhost:9", node("n1", {}));
  EXPECT_THAT(directory.endpoints(), ElementsAre("localhost:9", "h2:1"));
  EXPECT_EQ(directory.name_of("localhost:9"), "n1");
}

TEST(Directory, BelievesTheHigherEpochAndTheOneThatSaysItLeads) {
  Directory directory({"h1:1", "h2:1"});
  directory.answered("h1:1", node("n1", {replica("s1", "n1", 5, true)}));
  EXPECT_EQ(directory.leader("s1"), (Target{"s1", "n1", "h1:1"}));
  directory.answered("h2:1", node("n2", {replica("s1", "n2", 4, true)}));  // an old view that comes late
  EXPECT_EQ(directory.leader("s1")->node, "n1");
  directory.answered("h2:1", node("n2", {replica("s1", "n2", 6, true)}));
  EXPECT_EQ(directory.leader("s1")->node, "n2");
  directory.answered("h2:1", node("n2", {replica("s1", "", 6)}));  // it stepped down
  EXPECT_EQ(directory.leader("s1"), std::nullopt);
}

TEST(Directory, ALeaderThatFailedIsNotOfferedUntilItAnswers) {
  Directory directory({"h1:1"});
  directory.answered("h1:1", node("n1", {replica("s1", "n1", 5, true)}));
  EXPECT_TRUE(directory.all_led());
  directory.failed("h1:1", "connection refused");
  EXPECT_EQ(directory.leader("s1"), std::nullopt);
  EXPECT_FALSE(directory.all_led());
  directory.answered("h1:1", node("n1", {replica("s1", "n1", 5, true)}));
  EXPECT_TRUE(directory.leader("s1"));
}

TEST(Directory, FollowsAHintOnlyToSomebodyElseWhoIsNotFailing) {
  Directory directory({"h1:1"});
  directory.answered("h1:1", node("n1", {replica("s1", "n1", 5, true)}));
  const Target first{"s1", "n1", "h1:1"};
  EXPECT_TRUE(directory.not_leading(first, {"s1", "n3", "h3:1"}));
  EXPECT_EQ(directory.leader("s1"), (Target{"s1", "n3", "h3:1"}));
  EXPECT_FALSE(directory.not_leading({"s1", "n3", "h3:1"}, {"s1", "n3", "h3:1"})) << "it points at itself";
  EXPECT_EQ(directory.leader("s1"), std::nullopt);
  directory.failed("h3:1", "connection refused");
  EXPECT_FALSE(directory.not_leading(first, {"s1", "n3", "h3:1"}));
  EXPECT_FALSE(directory.not_leading(first, {"s1", "", ""}));
}

TEST(Directory, TellsAMissingGroupFromAMissingLeaderFromAMissingCluster) {
  Directory directory({"h1:1", "h2:1"});
  EXPECT_EQ(directory.nobody("s1").code, ErrorCode::unreachable) << "nobody was asked yet";
  directory.failed("h1:1", "connection refused");
  directory.failed("h2:1", "connection refused");
  EXPECT_EQ(directory.nobody("s1").code, ErrorCode::unreachable);
  directory.answered("h1:1", node("n1", {replica("s1", "", 5)}));
  EXPECT_EQ(directory.nobody("s1").code, ErrorCode::no_leader);
  EXPECT_EQ(directory.nobody("s9").code, ErrorCode::no_leader) << "n2 did not answer and may have it";
  directory.answered("h2:1", node("n2", {}));
  EXPECT_EQ(directory.nobody("s9").code, ErrorCode::not_found);
  EXPECT_THAT(directory.nobody("s9").message, HasSubstr("s1"));
  EXPECT_TRUE(directory.lacks("s9"));
  EXPECT_TRUE(directory.lacks("")) << "there is no coordinator";
}

TEST(Directory, TheCoordinatorOfATransactionIsOneOfTheCoordinatorsAndAlwaysTheSame) {
  Directory directory({"h1:1"});
  TxnId id;
  id.bytes[15] = 7;
  EXPECT_EQ(directory.coordinator_of(id), "");
  directory.answered("h1:1", node("n1", {replica("c0", "n1", 1, true), replica("s1", "n1", 1, true)}));
  EXPECT_EQ(directory.coordinator_of(id), "c0");
  EXPECT_THAT(directory.shards(), ElementsAre("s1"));
}

}  // namespace
}  // namespace assent::client
