#include "cli/bank/history.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

namespace assent::bank {
namespace {

TEST(HistoryLine, IsWhatJepsenReads) {
  EXPECT_EQ(
      history_line(EventType::ok, 3, 12345, {{false, "acct/000007", 100}, {true, "acct/000007", std::nullopt}}),
      R"({"type":"ok","process":3,"time":12345,"f":"txn","value":[["r","acct/000007",100],["w","acct/000007",null]]})");
  EXPECT_EQ(history_line(EventType::info, 0, 0, {}), R"({"type":"info","process":0,"time":0,"f":"txn","value":[]})");
}

TEST(HistoryLine, IsValidJsonWhateverTheKey) {
  const std::string line = history_line(EventType::invoke, 1, 2, {{false, "a\"b\\\n\xff", -5}});
  const nlohmann::json parsed = nlohmann::json::parse(line, nullptr, false);
  ASSERT_FALSE(parsed.is_discarded()) << line;
  EXPECT_EQ(parsed["value"][0][2], -5);
}

TEST(History, WritesALineForEachEventWithTimesThatDoNotGoBack) {
  const std::string path = testing::TempDir() + "history_" + std::to_string(::getpid()) + ".jsonl";
  {
    auto history = History::create(path);
    ASSERT_TRUE(history);
    history->write(EventType::invoke, 0, {{true, "x", 1}});
    history->write(EventType::ok, 0, {{true, "x", 1}});
    ASSERT_TRUE(history->close());
  }
  std::ifstream in(path);
  std::string line;
  std::int64_t last = 0;
  int lines = 0;
  for (; std::getline(in, line); ++lines) {
    const nlohmann::json parsed = nlohmann::json::parse(line);
    EXPECT_GE(parsed["time"].get<std::int64_t>(), last);
    last = parsed["time"].get<std::int64_t>();
  }
  EXPECT_EQ(lines, 2);
  std::filesystem::remove(path);
}

TEST(History, SaysSoWhenItCannotBeWritten) {
  EXPECT_FALSE(History::create("/nonexistent/folder/history.jsonl"));
  if (!std::filesystem::exists("/dev/full")) GTEST_SKIP() << "no /dev/full here";
  auto history = History::create("/dev/full");
  ASSERT_TRUE(history);
  history->write(EventType::invoke, 0, {});
  EXPECT_FALSE(history->close());
}

}  // namespace
}  // namespace assent::bank
