// Who may act by http.
#include "server/admin_tokens.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace assent {
namespace {

const std::string good = "0123456789abcdef";

TEST(AdminTokensTest, AnyOfTheFilesTokensIsTaken) {
  const auto tokens = AdminTokens::parse("# of the operators\n" + good + "\n\nanother-token-of-ours  \r\n");
  ASSERT_TRUE(tokens);
  EXPECT_FALSE(tokens->empty());
  EXPECT_TRUE(tokens->allow("Bearer " + good));
  EXPECT_TRUE(tokens->allow("Bearer another-token-of-ours"));
}

TEST(AdminTokensTest, NothingElseIs) {
  const auto tokens = AdminTokens::parse(good);
  ASSERT_TRUE(tokens);
  for (const std::string& bad :
       std::vector<std::string>{std::string(), good, "bearer " + good, "Bearer ", "Bearer " + good.substr(1),
                                "Bearer " + good + good, "Bearer " + good + " ", "Bearer #", "Basic " + good}) {
    EXPECT_FALSE(tokens->allow(bad)) << bad;
  }
  EXPECT_FALSE(AdminTokens().allow("Bearer "));
  EXPECT_TRUE(AdminTokens::parse("# none\n")->empty());
}

TEST(AdminTokensTest, AShortOrStrangeTokenIsRefusedWithItsLine) {
  for (const std::string bad : {"short", "0123456789 abcdef",
                                "0123456789\x01"
                                "bcdefgh",
                                "0123456789abcdef\xC3\xA9"}) {
    const auto tokens = AdminTokens::parse("# a\n" + std::string(bad));
    ASSERT_FALSE(tokens) << bad;
    EXPECT_NE(tokens.error().message.find("line 2"), std::string::npos);
    EXPECT_EQ(tokens.error().message.find(bad), std::string::npos) << "a secret is not repeated";
  }
}

TEST(AdminTokensTest, AFileThatIsNotThereIsAnErrorAndNoFileIsNone) {
  EXPECT_EQ(AdminTokens::read("/nowhere/tokens").error().code, ErrorCode::io);
  EXPECT_TRUE(AdminTokens::read("")->empty());
}

}  // namespace
}  // namespace assent
