#include "server/peer_identity.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "assent/v1/peer.pb.h"
#include "txn_proto/names.h"

namespace assent {
namespace {

using ::testing::HasSubstr;

PeerIdentity identity(const std::string& self, const std::string& cluster = "bank") {
  PeerIdentity identity{.cluster = cluster, .self = node_id(self), .incarnation = 9, .nodes = {}};
  for (const char* name : {"n1", "n2"}) identity.nodes[node_id(name)] = {.name = name, .endpoint = {"h", 1}};
  return identity;
}

v1::PeerHello hello_of(const PeerIdentity& from, const char* to) {
  v1::PeerHello hello;
  from.write_hello(node_id(to), hello);
  return hello;
}

TEST(PeerIdentity, AcceptsANodeOfItsCluster) {
  const auto verdict = identity("n2").check(hello_of(identity("n1"), "n2"));
  EXPECT_EQ(verdict.refusal, std::nullopt);
  EXPECT_EQ(verdict.from, node_id("n1"));
}

TEST(PeerIdentity, RefusesStrangersAndSaysWhy) {
  const PeerIdentity self = identity("n2");
  EXPECT_THAT(self.check(hello_of(identity("n1", "other"), "n2")).refusal.value(),
              HasSubstr("cluster \"bank\", the caller to \"other\""));
  EXPECT_THAT(self.check(hello_of(identity("n2"), "n1")).refusal.value(),
              HasSubstr("this is node n2, the caller wants n1"));
  EXPECT_THAT(self.check(hello_of(identity("n2"), "n2")).refusal.value(), HasSubstr("does not know the caller"));
  v1::PeerHello hello = hello_of(identity("n1"), "n2");
  hello.set_from("n7");
  EXPECT_THAT(self.check(hello).refusal.value(), HasSubstr("does not know the caller \"n7\""));
  EXPECT_TRUE(self.check({}).refusal.has_value());
}

TEST(PeerIdentity, RefusesAnotherGenerationAndSaysWhoMustComeBackEmpty) {
  PeerIdentity recovered = identity("n2");
  recovered.generation = 1;
  const PeerIdentity left = identity("n1");
  EXPECT_THAT(
      recovered.check(hello_of(left, "n2")).refusal.value(),
      HasSubstr("node n1 is of generation 0 of the cluster and this one of 1: it must come back with an empty"));
  EXPECT_THAT(left.check(hello_of(recovered, "n1")).refusal.value(),
              HasSubstr("recovered without this node, which must come back with an empty data directory (assentd start "
                        "--rejoin --generation 1)"));
  v1::PeerAccepted accepted;
  recovered.write_accepted(accepted);
  EXPECT_TRUE(left.check(node_id("n2"), accepted).has_value());
  PeerIdentity back = identity("n1");
  back.generation = 1;
  EXPECT_EQ(recovered.check(hello_of(back, "n2")).refusal, std::nullopt);
  EXPECT_EQ(back.check(node_id("n2"), accepted), std::nullopt);
}

TEST(PeerIdentity, R14_NodesOfAdjacentLevelsServeTogetherAndOthersAreRefusedByName) {
  PeerIdentity old = identity("n1");
  PeerIdentity next = identity("n2");
  PeerIdentity after = identity("n2");
  old.level = 4;
  next.level = 5;
  after.level = 6;
  EXPECT_EQ(next.check(hello_of(old, "n2")).refusal, std::nullopt);
  EXPECT_EQ(old.check(hello_of(next, "n1")).refusal, std::nullopt);
  const char* const why = "node n1 speaks protocol level 4 and this one level 6: only adjacent levels serve together";
  EXPECT_THAT(after.check(hello_of(old, "n2")).refusal.value(), HasSubstr(why));
  EXPECT_THAT(old.check(hello_of(after, "n1")).refusal.value(), HasSubstr("level 6 and this one level 4"));
  v1::PeerAccepted accepted;
  after.write_accepted(accepted);
  EXPECT_THAT(old.check(node_id("n2"), accepted).value_or(""), HasSubstr("level 6 and this one level 4"));
  accepted.Clear();
  old.level = 1;
  EXPECT_EQ(old.check(node_id("n2"), accepted), std::nullopt) << "who tells none is of before levels were told";
}

}  // namespace
}  // namespace assent
