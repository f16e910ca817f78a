#include "dashboard/assets.h"

#include <gmock/gmock.h>

#include <fstream>
#include <iterator>
#include <regex>
#include <set>
#include <string>

namespace assent {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

std::string file_in_dist(std::string_view path) {
  std::ifstream in(std::string(ASSENT_SOURCE_DIR "/dashboard/dist").append(path), std::ios::binary);
  EXPECT_TRUE(in) << path;
  return {std::istreambuf_iterator<char>(in), {}};
}

TEST(DashboardAssets, AreTheBytesOfDist) {
  ASSERT_FALSE(dashboard_assets().empty());
  for (const DashboardAsset& asset : dashboard_assets()) {
    EXPECT_TRUE(asset.bytes == file_in_dist(asset.path)) << asset.path;
  }
}

TEST(DashboardAssets, HavePathsAndTagsOfTheirOwn) {
  std::set<std::string_view> paths;
  std::set<std::string_view> tags;
  for (const DashboardAsset& asset : dashboard_assets()) {
    EXPECT_THAT(std::string(asset.path), StartsWith("/"));
    EXPECT_TRUE(paths.insert(asset.path).second) << asset.path;
    EXPECT_TRUE(tags.insert(asset.etag).second) << asset.path;
    EXPECT_EQ(asset.immutable, asset.path.starts_with("/assets/")) << asset.path;
  }
}

TEST(DashboardAssets, FindsWhatTheIndexNamesAndNothingElse) {
  const DashboardAsset* index = find_dashboard_asset("/");
  ASSERT_NE(index, nullptr);
  EXPECT_EQ(index, find_dashboard_asset("/index.html"));
  EXPECT_EQ(index->content_type, "text/html; charset=utf-8");
  const std::string text(index->bytes);
  const std::regex reference("(?:src|href)=\"\\.(/[^\"]+)\"");
  std::size_t found = 0;
  for (std::sregex_iterator at(text.begin(), text.end(), reference), end; at != end; ++at, ++found) {
    EXPECT_NE(find_dashboard_asset((*at)[1].str()), nullptr) << (*at)[1];
  }
  EXPECT_GE(found, 3U) << "a script, a style sheet and an icon";
  for (const char* path : {"", "index.html", "/assets", "/assets/", "/../CMakeLists.txt", "/built_from.txt"}) {
    EXPECT_EQ(find_dashboard_asset(path), nullptr) << path;
  }
}

// The page is served with default-src 'self': what is inline would not run, what is elsewhere would not load.
TEST(DashboardAssets, TheIndexHasNothingInlineAndNothingFromElsewhere) {
  const std::string text(find_dashboard_asset("/")->bytes);
  EXPECT_THAT(text, Not(HasSubstr("<style")));
  EXPECT_THAT(text, Not(HasSubstr("style=")));
  EXPECT_THAT(text, Not(HasSubstr("//")));
  EXPECT_FALSE(std::regex_search(text, std::regex("<script(?![^>]* src=)")));
  EXPECT_FALSE(std::regex_search(text, std::regex(" on[a-z]+=")));
}

}  // namespace
}  // namespace assent
