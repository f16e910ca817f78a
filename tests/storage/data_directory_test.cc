#include "storage/data_directory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/digest.h"
#include "sim/sim_disk.h"

namespace assent {
namespace {

using ::testing::HasSubstr;

const DirectoryIdentity n1{"bank", "n1"};

TEST(DataDirectory, ClaimedOnceAndKnownAgain) {
  SimDisk disk(1);
  EXPECT_EQ(read_directory_identity(disk).error().code, ErrorCode::not_found);
  ASSERT_TRUE(claim_data_directory(disk, n1));
  disk.crash(CrashKind::power);
  ASSERT_TRUE(claim_data_directory(disk, n1));
  EXPECT_EQ(*read_directory_identity(disk), n1);
}

TEST(DataDirectory, WhatComesAfterALossHasANumberAndKeepsIt) {
  SimDisk disk(1);
  DirectoryIdentity later = n1;
  later.disk = 77;
  EXPECT_EQ(*claim_data_directory(disk, later), later);
  EXPECT_EQ(*claim_data_directory(disk, n1), later) << "started again without --rejoin";
  DirectoryIdentity again = n1;
  again.disk = 78;
  EXPECT_EQ(*claim_data_directory(disk, again), later) << "started again with it";
  EXPECT_EQ(identity_number(later), identity_number(n1));

  SimDisk first(1);
  EXPECT_EQ(*claim_data_directory(first, n1), n1);
  const auto refused = claim_data_directory(first, later);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::refused);
  EXPECT_THAT(refused.error().message, HasSubstr("--rejoin is for a node that lost its data directory"));
  for (const char* const bad : {"0", "", "x", "7x", "99999999999999999999"}) {
    std::string text = fmt::format("assent data directory\nformat 2\ncluster \"bank\"\nnode \"n1\"\ndisk {}\n", bad);
    text += fmt::format("checksum {:016x}\n", xxh3(text));
    EXPECT_FALSE(decode_directory_identity(text)) << bad;
  }
}

TEST(DataDirectory, KeepsItsLoopsAndIsRefusedForAnotherNumber) {
  SimDisk disk(1);
  DirectoryIdentity two = n1;
  two.loops = 2;
  two.generation = 5;
  ASSERT_TRUE(claim_data_directory(disk, two));
  disk.crash(CrashKind::power);
  EXPECT_EQ(*claim_data_directory(disk, two), two);
  EXPECT_THAT(encode_directory_identity(two), HasSubstr("format 4\n"));
  EXPECT_THAT(encode_directory_identity(n1), HasSubstr("format 1\n"));
  DirectoryIdentity one = two;
  one.loops = 1;
  const auto refused = claim_data_directory(disk, one);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::refused);
  EXPECT_THAT(refused.error().message, HasSubstr("Start with node.loops 2"));

  SimDisk single(1);
  ASSERT_TRUE(claim_data_directory(single, n1));
  EXPECT_EQ(claim_data_directory(single, two).error().code, ErrorCode::refused);
  for (const char* const bad : {"0", "1", "", "65", "2x"}) {
    std::string text = fmt::format(
        "assent data directory\nformat 4\ncluster \"bank\"\nnode \"n1\"\ndisk 0\ngeneration 0\nloops {}\n", bad);
    text += fmt::format("checksum {:016x}\n", xxh3(text));
    EXPECT_FALSE(decode_directory_identity(text)) << bad;
  }
}

TEST(DataDirectory, KeepsItsGenerationAndIsRefusedForAnother) {
  SimDisk disk(1);
  ASSERT_TRUE(claim_data_directory(disk, n1));
  DirectoryIdentity next = n1;
  next.generation = 1;
  EXPECT_EQ(claim_data_directory(disk, next).error().code, ErrorCode::refused);
  ASSERT_TRUE(replace_directory_identity(disk, next));
  disk.crash(CrashKind::power);
  EXPECT_EQ(*claim_data_directory(disk, n1), next) << "started without the flag";
  EXPECT_EQ(*claim_data_directory(disk, next), next);
  EXPECT_EQ(identity_number(next), identity_number(n1)) << "its log stays its own";
  next.generation = 2;
  EXPECT_THAT(claim_data_directory(disk, next).error().message, HasSubstr("of generation 1, and --generation says 2"));

  SimDisk empty(1);
  next.disk = 77;
  EXPECT_EQ(*claim_data_directory(empty, next), next);
  EXPECT_EQ(*read_directory_identity(empty), next);
  for (const char* const bad : {"disk 7\ngeneration 0\n", "generation 1\n", "disk 7\n", "disk 7\ngeneration x\n"}) {
    std::string text = fmt::format("assent data directory\nformat 3\ncluster \"bank\"\nnode \"n1\"\n{}", bad);
    text += fmt::format("checksum {:016x}\n", xxh3(text));
    EXPECT_FALSE(decode_directory_identity(text)) << bad;
  }
}

TEST(DataDirectory, RefusesAnotherNodeOrCluster) {
  SimDisk disk(1);
  ASSERT_TRUE(claim_data_directory(disk, n1));
  for (const DirectoryIdentity& other : {DirectoryIdentity{"bank", "n2"}, DirectoryIdentity{"shop", "n1"}}) {
    const auto claimed = claim_data_directory(disk, other);
    ASSERT_FALSE(claimed);
    EXPECT_EQ(claimed.error().code, ErrorCode::refused);
    EXPECT_THAT(claimed.error().message, HasSubstr("belongs to node \"n1\" of cluster \"bank\""));
    EXPECT_THAT(claimed.error().message, HasSubstr(other.node));
    EXPECT_NE(identity_number(other), identity_number(n1));
  }
}

TEST(DataDirectory, RefusesANewerFormat) {
  std::string text = "assent data directory\nformat 5\nsomething new\n";
  text += fmt::format("checksum {:016x}\n", xxh3(text));
  SimDisk disk(1);
  disk.put("identity", text);
  const auto claimed = claim_data_directory(disk, n1);
  ASSERT_FALSE(claimed);
  EXPECT_EQ(claimed.error().code, ErrorCode::unsupported);
  EXPECT_THAT(claimed.error().message, HasSubstr("format 5"));
}

TEST(DataDirectory, RefusesDataWithoutAName) {
  SimDisk disk(1);
  disk.put("wal/00000000000000000001.wal", "x");
  const auto claimed = claim_data_directory(disk, n1);
  ASSERT_FALSE(claimed);
  EXPECT_EQ(claimed.error().code, ErrorCode::refused);
  EXPECT_THAT(claimed.error().message, HasSubstr("identity"));
}

TEST(DataDirectory, EachByteChangedIsDamage) {
  const Bytes text = encode_directory_identity(n1);
  for (std::size_t i = 0; i < text.size(); ++i) {
    Bytes changed = text;
    changed[i] = static_cast<char>(changed[i] ^ 0x01);
    ASSERT_FALSE(decode_directory_identity(changed)) << i;
    EXPECT_EQ(decode_directory_identity(changed).error().code, ErrorCode::corruption) << i;
    EXPECT_FALSE(decode_directory_identity(ByteView(text).substr(0, i))) << i;
  }
  EXPECT_FALSE(decode_directory_identity(text + "\n"));
}

TEST(DataDirectory, OddNamesComeBack) {
  const std::string odd = std::string("a\"b\\c\n\x01\x7f", 8) + "\xc3\xa4" + std::string(1, '\0');
  const DirectoryIdentity identity{odd, ""};
  EXPECT_EQ(*decode_directory_identity(encode_directory_identity(identity)), identity);
}

TEST(DataDirectory, CrashAtEveryOperationOfTheFirstStart) {
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    SimDisk disk(seed);
    disk.cut_power_after(seed % 7);
    const bool claimed = claim_data_directory(disk, n1).has_value();
    disk.crash(CrashKind::power);
    EXPECT_TRUE(!claimed || read_directory_identity(disk).has_value());
    const auto again = claim_data_directory(disk, n1);
    ASSERT_TRUE(again) << again.error().message;
    disk.crash(CrashKind::power);
    EXPECT_EQ(*read_directory_identity(disk), n1);
  }
}

}  // namespace
}  // namespace assent
