// Every file of tests/tables is a test. --rewrite accepts what comes out now; read the diff.
#include "tests/consensus/table.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "tests/rewrite.h"

namespace assent::testing {
namespace {

std::vector<std::string> files() {
  std::vector<std::string> names;
  for (const auto& file : std::filesystem::directory_iterator(ASSENT_SOURCE_DIR "/tests/tables")) {
    if (file.path().extension() == ".txt") names.push_back(file.path().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::string text_of(const std::string& path) {
  std::ifstream in(path);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

class MembershipTable : public ::testing::TestWithParam<std::string> {};

TEST_P(MembershipTable, is_as_written) {
  std::vector<Row> rows = parse_table(text_of(GetParam()));
  ASSERT_FALSE(rows.empty());
  Table table;
  for (Row& row : rows) {
    const std::vector<std::string> output = table.run(row);
    for (const std::string& line : output) EXPECT_FALSE(line.starts_with("ERROR")) << row.command << "\n" << line;
    if (rewriting()) {
      row.output = output;
    } else {
      EXPECT_EQ(output, row.output) << "command: " << row.command;
    }
  }
  if (rewriting()) std::ofstream(GetParam()) << print_table(rows);
}

INSTANTIATE_TEST_SUITE_P(Files, MembershipTable, ::testing::ValuesIn(files()), [](const auto& param_info) {
  std::string name = std::filesystem::path(param_info.param).stem().string();
  std::replace_if(
      name.begin(), name.end(), [](char c) { return !std::isalnum(static_cast<unsigned char>(c)); }, '_');
  return name;
});

TEST(TableRunner, says_what_it_cannot_read_and_prints_what_it_read) {
  Table table;
  EXPECT_TRUE(table.run({"", "dance", {}, {}}).front().starts_with("ERROR"));
  EXPECT_TRUE(table.run({"", "simple", {"x1"}, {}}).front().starts_with("ERROR"));
  EXPECT_TRUE(table.run({"", "committed cfg=(1,2) idx=(1)", {}, {}}).front().starts_with("error"));
  const std::string text = "# why\nsimple\nv1\n----\nvoters=(1)\n\nvote cfg=(1) votes=(y)\n----\nVoteWon\n";
  EXPECT_EQ(print_table(parse_table(text)), text);
}

}  // namespace
}  // namespace assent::testing
