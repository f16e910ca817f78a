#include "cli/bank/history.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

namespace assent::bank {
namespace {

TEST(History, WritesALineForEachEventWithTimesThatDoNotGoBack) {
  const std::string path = testing::TempDir() + "history_" + std::to_string(::getpid()) + ".jsonl";
  {
    auto history = History::create(path);
    ASSERT_TRUE(history);
    history->write(EventType::invoke, 0, {{check::OpKind::write, "x", check::Number{1}}});
    history->write(EventType::ok, 0, {{check::OpKind::write, "x", check::Number{1}}});
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
