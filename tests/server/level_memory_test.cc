#include "server/level_memory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace assent {
namespace {

class LevelMemoryTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (std::filesystem::temp_directory_path() / "assent-levels-XXXXXX").string();
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string folder_;
};

TEST_F(LevelMemoryTest, WhatTookEffectIsKeptForEachGroup) {
  {
    auto levels = LevelMemory::open(folder_);
    ASSERT_TRUE(levels);
    EXPECT_EQ(levels->level(GroupId(1)), 0U);
    ASSERT_TRUE(levels->raise(GroupId(1), 2));
    ASSERT_TRUE(levels->raise(GroupId(7), 3));
    ASSERT_TRUE(levels->raise(GroupId(7), 2)) << "never falls";
  }
  const auto levels = LevelMemory::open(folder_);
  ASSERT_TRUE(levels);
  EXPECT_EQ(levels->level(GroupId(1)), 2U);
  EXPECT_EQ(levels->level(GroupId(7)), 3U);
  EXPECT_EQ(levels->level(GroupId(2)), 0U);
}

TEST_F(LevelMemoryTest, WhatCannotBeWrittenDoesNotTakeEffect) {
  auto levels = LevelMemory::open(folder_);
  ASSERT_TRUE(levels);
  std::filesystem::remove_all(folder_);
  EXPECT_FALSE(levels->raise(GroupId(1), 2));
  EXPECT_EQ(levels->level(GroupId(1)), 0U);
}

TEST_F(LevelMemoryTest, AFileThatCannotBeReadIsSaidSo) {
  for (const char* const bad : {"1\n", "x 1\n", "1 x\n", "1 2 3\n"}) {
    std::ofstream(folder_ + "/LEVELS") << bad;
    const auto opened = LevelMemory::open(folder_);
    ASSERT_FALSE(opened) << bad;
    EXPECT_EQ(opened.error().code, ErrorCode::corruption);
  }
}

}  // namespace
}  // namespace assent
