#include "server/log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <vector>

namespace assent {
namespace {

class Log : public ::testing::Test {
 protected:
  void set_up(bool json, LogLevel level = LogLevel::info) {
    set_up_log({.level = level, .json = json, .node = "n1", .sink = [this](const std::string& line) {
                  lines.push_back(line);
                }});
  }
  void TearDown() override { set_up_log({.level = LogLevel::info, .json = false, .node = {}, .sink = {}}); }
  std::vector<std::string> lines;
};

TEST_F(Log, WritesJsonThatAnyReaderTakes) {
  set_up(true);
  LogEvent(LogLevel::warn, "peer", "quote \" slash \\ line\nend \x01")
      .field("term", 7U)
      .field("leader", "n2")
      .field("id", GroupId(5))
      .write();
  ASSERT_EQ(lines.size(), 1U);
  const auto parsed = nlohmann::json::parse(lines[0]);
  EXPECT_EQ(parsed["level"], "warn");
  EXPECT_EQ(parsed["logger"], "peer");
  EXPECT_EQ(parsed["node"], "n1");
  EXPECT_EQ(parsed["msg"], "quote \" slash \\ line\nend \x01");
  EXPECT_EQ(parsed["term"], 7);
  EXPECT_EQ(parsed["leader"], "n2");
  EXPECT_EQ(parsed["id"], 5);
}

TEST_F(Log, WritesTextOnOneLine) {
  set_up(false);
  LogEvent(LogLevel::info, "raft", "leader\nchanged").field("group", "c0").field("why", "two words").write();
  ASSERT_EQ(lines.size(), 1U);
  EXPECT_THAT(lines[0], ::testing::EndsWith("info  raft   leader\\x0achanged group=c0 why=\"two words\""));
}

TEST_F(Log, LeavesOutWhatIsBelowTheLevel) {
  set_up(false, LogLevel::warn);
  LogEvent(LogLevel::info, "a", "b").write();
  EXPECT_TRUE(lines.empty());
  EXPECT_EQ(log_level_of("error"), LogLevel::error);
  EXPECT_EQ(log_level_of("nonsense"), LogLevel::info);
}

TEST_F(Log, WritesRepeatsOnce) {
  set_up(false);
  for (int i = 0; i < 5; ++i) LogEvent(LogLevel::info, "a", "again").write_at_most_every(3600, "key 1");
  LogEvent(LogLevel::info, "a", "other").write_at_most_every(3600, "key 2");
  EXPECT_EQ(lines.size(), 2U);
  LogEvent(LogLevel::info, "a", "again").write_at_most_every(0, "key 1");
  ASSERT_EQ(lines.size(), 3U);
  EXPECT_THAT(lines[2], ::testing::EndsWith("again repeats_left_out=4"));
}

}  // namespace
}  // namespace assent
