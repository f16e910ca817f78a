// Every file of tests/transcripts/raft is a test. --rewrite accepts what happens now; read the diff.
#include "tests/consensus/transcript.h"

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
  for (const auto& file : std::filesystem::directory_iterator(ASSENT_SOURCE_DIR "/tests/transcripts/raft")) {
    if (file.path().extension() == ".txt") names.push_back(file.path().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

class RaftTranscript : public ::testing::TestWithParam<std::string> {};

TEST_P(RaftTranscript, is_as_written) {
  std::ifstream in(GetParam());
  std::stringstream text;
  text << in.rdbuf();
  std::vector<Block> blocks = parse_transcript(text.str());
  ASSERT_FALSE(blocks.empty());
  EXPECT_EQ(blocks.back().command, "converge") << "a scenario ends by converging";
  const bool rewrite = rewriting();
  Transcript transcript;
  for (Block& block : blocks) {
    const std::vector<std::string> output = transcript.run(block.command);
    for (const std::string& line : output) EXPECT_FALSE(line.starts_with("ERROR")) << block.command << "\n" << line;
    if (rewrite) {
      block.output = output;
    } else {
      EXPECT_EQ(output, block.output) << "command: " << block.command;
    }
  }
  EXPECT_TRUE(transcript.converged());
  if (rewrite) std::ofstream(GetParam()) << print_transcript(blocks);
}

INSTANTIATE_TEST_SUITE_P(Files, RaftTranscript, ::testing::ValuesIn(files()), [](const auto& param_info) {
  std::string name = std::filesystem::path(param_info.param).stem().string();
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
});

TEST(TranscriptRunner, names_what_it_cannot_run_and_checks_what_it_runs) {
  Transcript transcript;
  EXPECT_TRUE(transcript.run("nodes 3").front().starts_with("ok"));
  EXPECT_TRUE(transcript.run("dance 1").front().starts_with("ERROR"));
  EXPECT_TRUE(transcript.run("tick 9").front().starts_with("ERROR"));
  const std::string text = "# why\nnodes 3\n----\nok\n\ntick 1\n----\nok\nmore\n";
  EXPECT_EQ(print_transcript(parse_transcript(text)), text);
}

}  // namespace
}  // namespace assent::testing
