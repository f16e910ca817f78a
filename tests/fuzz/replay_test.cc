// The fuzzers' entry functions in the ordinary test run (B01): over their seeds, the kept corpus, every input that once
// broke something, and a few thousand damaged seeds. scripts/fuzz.sh looks further. A finding ends the process.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/rng.h"
#include "fuzz/fuzz.h"

namespace assent::fuzz {
namespace {

std::vector<Bytes> files_in(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> paths;
  if (!std::filesystem::exists(folder)) return {};
  for (const auto& file : std::filesystem::directory_iterator(folder)) paths.push_back(file.path());
  std::sort(paths.begin(), paths.end());
  std::vector<Bytes> all;
  for (const auto& path : paths) {
    std::ifstream in(path, std::ios::binary);
    std::ostringstream bytes;
    bytes << in.rdbuf();
    all.push_back(std::move(bytes).str());
  }
  return all;
}

std::vector<Bytes> kept(std::string_view kind, std::string_view target) {
  return files_in(std::filesystem::path(ASSENT_SOURCE_DIR) / "fuzz" / kind / target);
}

Bytes damaged(Bytes bytes, Rng& rng) {
  for (std::uint64_t changes = 1 + rng.below(4); changes > 0 && !bytes.empty(); --changes) {
    const std::uint64_t at = rng.below(bytes.size());
    switch (rng.below(4)) {
      case 0: bytes[at] = static_cast<char>(rng.next()); break;
      case 1: bytes[at] = static_cast<char>(static_cast<unsigned char>(bytes[at]) ^ (1U << rng.below(8))); break;
      case 2: bytes.erase(at, 1 + rng.below(8)); break;
      default: bytes.insert(at, bytes.substr(rng.below(bytes.size()), rng.below(12))); break;
    }
  }
  return bytes;
}

class Fuzz : public ::testing::TestWithParam<Target> {};

TEST_P(Fuzz, SeedsAndCorpusAndRegressions) {
  const Target& target = GetParam();
  const auto seeds = target.seeds();
  EXPECT_FALSE(seeds.empty());
  for (const Bytes& seed : seeds) target.run(seed);
  for (const Bytes& input : kept("corpus", target.name)) target.run(input);
  for (const Bytes& input : kept("regressions", target.name)) target.run(input);
}

TEST_P(Fuzz, DamagedSeeds) {
  const Target& target = GetParam();
  const auto seeds = target.seeds();
  Rng rng = Rng(1).split(std::string(target.name));
  target.run({});
  for (int i = 0; i < 300; ++i) target.run(damaged(seeds[rng.below(seeds.size())], rng));
}

INSTANTIATE_TEST_SUITE_P(All, Fuzz, ::testing::ValuesIn(targets().begin(), targets().end()),
                         [](const auto& one) { return std::string(one.param.name); });

}  // namespace
}  // namespace assent::fuzz
