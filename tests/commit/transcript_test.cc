// Narrated scenarios: tests/transcripts/commit/*.txt. A line that begins with "> " is a command; what happens stands
// below it. commit_world_test --rewrite writes what happened into the files. Invariants hold after every line; each
// ends by converging.
//
//   > execute r1 t1 s1: add a -5; put b x / s2: get a      to the coordinator; with one shard, to that shard
//   > get r2 t1 [seal] [wait N] [at s1]                     asks for the outcome
//   > query r3 s1: get a
//   > deliver [KIND [to GROUP]]                             the oldest such message; all there are without a KIND
//   > deliver-deposed KIND to GROUP                         to the first deposed leader of the group, a copy
//   > double KIND [to GROUP] | drop KIND [to GROUP]
//   > commit GROUP | refuse GROUP | tick N | tick-deposed GROUP N
//   > elect GROUP [survive N] | depose GROUP
//   > quiet | aloud                                       what happens is written down no more, or again
//   > tick-shards N                                        of the shards alone
//   > drop-to c|s1|s2                                      all that is in flight to it
//   > drop-copies                                         of equal messages in flight
//   > converge
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "tests/rewrite.h"
#include "world.h"

namespace assent::testing {
namespace {

std::vector<std::string> words_of(const std::string& line) {
  std::istringstream in(line);
  std::vector<std::string> words;
  for (std::string word; in >> word;) words.push_back(word);
  return words;
}

std::vector<std::string> split(const std::string& text, char at) {
  std::vector<std::string> parts;
  std::istringstream in(text);
  for (std::string part; std::getline(in, part, at);) parts.push_back(part);
  return parts;
}

GroupId group_of(const std::string& word) {
  if (word == "c") return coordinator_group;
  return word == "s1" ? shard_1 : shard_2;
}

Operation operation_of(const std::string& text) {
  const auto words = words_of(text);
  if (words.at(0) == "get") return KvGet{words.at(1)};
  if (words.at(0) == "put") return KvPut{words.at(1), words.at(2)};
  KvAdd add{words.at(1), std::stoll(words.at(2)), std::nullopt, std::nullopt};
  if (words.size() > 4 && words[3] == "floor") add.floor = std::stoll(words[4]);
  return add;
}

class Script {
 public:
  Script() {
    for (std::uint64_t n = 1; n <= 9; ++n) world_.names.txns[txn(n)] = fmt::format("t{}", n);
    for (const GroupId group : {coordinator_group, shard_1, shard_2}) world_.commit(group);  // each has a stamp
    world_.narrate = [this](const std::string& line) {
      if (aloud_) out_ += line + "\n";
    };
  }

  std::string run(const std::string& text) {
    std::istringstream in(text);
    for (std::string line; std::getline(in, line);) {
      if (line.starts_with("> ")) {
        out_ += line + "\n";
        command(line.substr(2));
        for (const std::string& violation : world_.violations()) ADD_FAILURE() << line << ": " << violation;
      } else if (line.empty() || line.starts_with("#")) {
        out_ += line + "\n";
      }
    }
    EXPECT_TRUE(world_.quiescent()) << "it does not end converged";
    return out_;
  }

 private:
  void command(const std::string& line) {
    const auto words = words_of(line);
    const std::string& verb = words.at(0);
    const auto number = [&](std::size_t at) { return std::stoull(words.at(at)); };
    if (verb == "execute") return execute(line);
    if (verb == "get") return get(words);
    if (verb == "query") return query(line);
    if (verb == "deliver" && words.size() == 1) return deliver_all();
    if (verb == "deliver") return world_.deliver(find(words), false);
    if (verb == "deliver-deposed") return world_.deliver(find(words), true, 0);
    if (verb == "double") return world_.deliver(find(words), true);
    if (verb == "drop") return world_.drop(find(words));
    if (verb == "commit") {
      while (world_.commit(group_of(words.at(1)))) {
      }
      return;
    }
    if (verb == "refuse") return static_cast<void>(world_.refuse(group_of(words.at(1)), ErrorCode::busy));
    if (verb == "elect") return world_.elect(group_of(words.at(1)), words.size() > 3 ? number(3) : 0);
    if (verb == "depose") return world_.depose(group_of(words.at(1)), 0);
    if (verb == "tick-deposed") {
      for (std::uint64_t i = number(2); i > 0; --i) world_.tick_deposed(group_of(words.at(1)));
      return;
    }
    if (verb == "tick") {
      for (std::uint64_t i = number(1); i > 0; --i) {
        world_.advance(10);
        for (const GroupId group : {coordinator_group, shard_1, shard_2}) world_.tick(group, false);
      }
      return;
    }
    if (verb == "tick-shards") {
      for (std::uint64_t i = number(1); i > 0; --i) {
        world_.advance(10);
        for (const GroupId group : {shard_1, shard_2}) world_.tick(group, false);
      }
      return;
    }
    if (verb == "drop-to") {
      for (std::size_t i = world_.network().size(); i-- > 0;) {
        if (world_.network()[i].to == group_of(words.at(1))) world_.drop(i);
      }
      return;
    }
    if (verb == "quiet" || verb == "aloud") {
      aloud_ = verb == "aloud";
      return;
    }
    if (verb == "drop-copies") return drop_copies();
    if (verb == "converge") {
      EXPECT_TRUE(world_.converge());
      return;
    }
    ADD_FAILURE() << "unknown command: " << line;
  }

  void deliver_all() {
    for (std::size_t left = world_.network().size(); left > 0; --left) world_.deliver(0, false);
  }

  // Of equal messages in flight all but the oldest are lost.
  void drop_copies() {
    for (std::size_t i = world_.network().size(); i-- > 0;) {
      const auto& all = world_.network();
      const auto first = std::find(all.begin(), all.end(), all[i]);
      if (first != all.begin() + static_cast<std::ptrdiff_t>(i)) world_.drop(i);
    }
  }

  // The oldest message of a kind, to a group if one is named.
  std::size_t find(const std::vector<std::string>& words) {
    for (std::size_t i = 0; i < world_.network().size(); ++i) {
      const Envelope& envelope = world_.network()[i];
      const bool kind = describe(world_.names, envelope.message).starts_with(words.at(1) + " ");
      if (kind && (words.size() < 4 || envelope.to == group_of(words[3]))) return i;
    }
    ADD_FAILURE() << "no such message in flight: " << words.at(1);
    return 0;
  }

  static Work work_of(const std::string& text) {
    Work work;
    for (const std::string& part : split(text, ';')) work.push_back(operation_of(part));
    return work;
  }

  void execute(const std::string& line) {
    const auto words = words_of(line);
    Execute execute;
    execute.txn = txn(std::stoull(words.at(2).substr(1)));
    std::size_t start = line.find(words[2] + " ") + words[2].size() + 1;
    execute.protocol = line.find('/') == std::string::npos ? Protocol::automatic : Protocol::two_phase;
    for (const Protocol protocol : {Protocol::paxos_commit, Protocol::three_phase}) {
      if (words[3] != to_string(protocol)) continue;
      execute.protocol = protocol;
      start += words[3].size() + 1;
    }
    for (const std::string& part : split(line.substr(start), '/')) {
      const auto colon = part.find(':');
      execute.branches.push_back(
          Branch{group_of(words_of(part.substr(0, colon)).at(0)), work_of(part.substr(colon + 1))});
    }
    const GroupId to = execute.branches.size() == 1 ? execute.branches[0].shard : coordinator_group;
    world_.request(RequestId(std::stoull(words.at(1).substr(1))), to, execute);
  }

  void query(const std::string& line) {
    const auto words = words_of(line);
    const auto colon = line.find(':');
    world_.request(RequestId(std::stoull(words.at(1).substr(1))), group_of(words.at(2).substr(0, 2)),
                   Query{work_of(line.substr(colon + 1))});
  }

  void get(const std::vector<std::string>& words) {
    GetOutcome ask{txn(std::stoull(words.at(2).substr(1))), false, 0};
    GroupId to = coordinator_group;
    for (std::size_t i = 3; i < words.size(); ++i) {
      if (words[i] == "seal") ask.seal = true;
      if (words[i] == "wait") ask.wait_ticks = std::stoull(words.at(i + 1));
      if (words[i] == "at") to = group_of(words.at(i + 1));
    }
    world_.request(RequestId(std::stoull(words.at(1).substr(1))), to, ask);
  }

  World world_;
  std::string out_;
  bool aloud_ = true;
};

std::string read_file(const std::filesystem::path& path) {
  std::ifstream in(path);
  return {std::istreambuf_iterator<char>(in), {}};
}

const std::filesystem::path folder = std::filesystem::path(ASSENT_SOURCE_DIR) / "tests/transcripts/commit";

std::vector<std::string> transcripts() {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() == ".txt") names.push_back(entry.path().stem().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

class CommitTranscript : public ::testing::TestWithParam<std::string> {};

TEST_P(CommitTranscript, HappensAsWritten) {
  const std::filesystem::path path = folder / (GetParam() + ".txt");
  const std::string written = read_file(path);
  const std::string happened = Script().run(written);
  if (rewriting()) {
    std::ofstream(path) << happened;
    return;
  }
  EXPECT_EQ(happened, written) << "commit_world_test --rewrite rewrites " << path;
}

INSTANTIATE_TEST_SUITE_P(All, CommitTranscript, ::testing::ValuesIn(transcripts()),
                         [](const auto& one) { return one.param; });

}  // namespace
}  // namespace assent::testing
