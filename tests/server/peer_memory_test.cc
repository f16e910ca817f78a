#include "server/peer_memory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "assent/v1/peer.pb.h"
#include "server/peer_identity.h"
#include "txn_proto/names.h"

namespace assent {
namespace {

using ::testing::HasSubstr;

class PeerMemoryTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (std::filesystem::temp_directory_path() / "assent-peers-XXXXXX").string();
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::optional<std::string> meet(const PeerPast& past) { return PeerMemory::open(folder_)->meet("n3", past); }

  std::string folder_;
};

TEST_F(PeerMemoryTest, WhoStartsAgainOnItsDiskIsBelieved) {
  EXPECT_EQ(meet({.life = 100, .previous = 0}), std::nullopt);
  EXPECT_EQ(meet({.life = 100, .previous = 0}), std::nullopt) << "the same life connects again";
  EXPECT_EQ(meet({.life = 200, .previous = 100}), std::nullopt);
  EXPECT_EQ(meet({.life = 400, .previous = 300}), std::nullopt) << "a life between that was not met";
}

TEST_F(PeerMemoryTest, M05_WhoLostItsDiskOrHasAnOldCopyIsNot) {
  EXPECT_EQ(meet({.life = 100, .previous = 0}), std::nullopt);
  EXPECT_EQ(meet({.life = 200, .previous = 100}), std::nullopt);
  EXPECT_THAT(meet({.life = 300, .previous = 0}).value(), HasSubstr("n3 comes with an empty data directory"));
  EXPECT_THAT(meet({.life = 300, .previous = 100}).value(), HasSubstr("n3 comes with an old copy"));
  EXPECT_EQ(meet({.life = 300, .previous = 200}), std::nullopt) << "nothing was remembered of those";
}

TEST_F(PeerMemoryTest, M05_WhoRejoinsIsSomebodyElseAndTheFormerOneIsOver) {
  EXPECT_EQ(meet({.life = 100, .previous = 0}), std::nullopt);
  EXPECT_EQ(meet({.life = 300, .previous = 0, .disk = 7}), std::nullopt);
  EXPECT_THAT(meet({.life = 400, .previous = 100}).value(), HasSubstr("old copy")) << "the lost disk is found again";
  EXPECT_THAT(meet({.life = 400, .previous = 0, .disk = 7}).value(), HasSubstr("empty"));
  EXPECT_EQ(meet({.life = 400, .previous = 300, .disk = 7}), std::nullopt);
}

TEST_F(PeerMemoryTest, AFileThatCannotBeReadIsSaidSo) {
  for (const char* const bad : {"n3\n", "n3 1\n", "n3 x 1\n", "n3 1 2 3\n"}) {
    std::ofstream(folder_ + "/PEERS") << bad;
    const auto opened = PeerMemory::open(folder_);
    ASSERT_FALSE(opened) << bad;
    EXPECT_EQ(opened.error().code, ErrorCode::corruption);
  }
}

TEST_F(PeerMemoryTest, AStreamIsRefusedFromEitherSide) {
  const auto identity = [](const char* self) {
    PeerIdentity out{.cluster = "bank", .self = node_id(self), .incarnation = 100, .nodes = {}};
    for (const char* name : {"n1", "n2"}) out.nodes[node_id(name)] = {.name = name, .endpoint = {"h", 1}};
    return out;
  };
  PeerIdentity one = identity("n1");
  one.memory = std::make_shared<PeerMemory>(*PeerMemory::open(folder_));
  PeerIdentity other = identity("n2");
  v1::PeerHello hello;
  v1::PeerAccepted accepted;
  other.write_hello(one.self, hello);
  other.write_accepted(accepted);
  EXPECT_EQ(one.check(hello).refusal, std::nullopt);
  EXPECT_EQ(one.check(other.self, accepted), std::nullopt);
  hello.set_incarnation(200);
  accepted.set_incarnation(200);
  EXPECT_THAT(one.check(hello).refusal.value(), HasSubstr("--rejoin"));
  EXPECT_THAT(one.check(other.self, accepted).value(), HasSubstr("--rejoin"));
  hello.clear_previous();  // of a version that does not tell
  EXPECT_EQ(one.check(hello).refusal, std::nullopt);
}

}  // namespace
}  // namespace assent
