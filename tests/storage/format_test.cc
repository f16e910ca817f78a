// The bytes themselves, so that no change of code changes the format unseen (docs/FORMATS.md).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/digest.h"
#include "storage/data_directory.h"
#include "storage/snapshot_file.h"
#include "storage/wal_format.h"
#include "tests/storage/wal_model.h"

namespace assent::storage_test {
namespace {

using namespace wal_format;

std::string hex(ByteView bytes) {
  std::string text;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    if (i > 0 && i % 8 == 0) text += i % 32 == 0 ? '\n' : ' ';
    text += fmt::format("{:02x}", static_cast<unsigned char>(bytes[i]));
  }
  return text;
}

Bytes small_segment() {
  BatchBuilder builder = BatchBuilder::opening({0x1122334455667788, 9}, 64, 70);
  builder.group(GroupId(3), Index(21), make_mark(4, 20), "vote");
  builder.carried(GroupId(3), *make_entry(5, 21, "old"));
  builder.entry(GroupId(3), *make_entry(5, 22, "payload"));
  SegmentHeader header;
  header.block_bytes = 64;
  header.identity = 0x1122334455667788;
  header.number = 9;
  header.previous = 8;
  header.previous_end = 4096;
  header.oldest = 7;
  header.opened_by = OpenedBy::recovery;
  return builder.finish(header);
}

TEST(Formats, SegmentGolden) {
  EXPECT_EQ(hex(small_segment()), R"(41534e5457414c0a 0200000040000000 8877665544332211 0900000000000000
0800000000000000 0010000000000000 0700000000000000 0100000000000000
33a76cc36618914f 0000000000000000 0000000000000000 0000000000000000
0000000000000000 0000000000000000 0000000000000000 0000000000000000
09cbc7ae4ebaf735 4f50454e03000000 4600000000000000 c800000000000000
f610efc3ca0e21bd 4000000005000000 0300000000000000 1500000000000000
0400000000000000 1400000000000000 fc03000000000000 0300000001000000
0000000002000000 0000000003000000 00000000766f7465 82f817fa2d6eacf6
1c00000006000000 0300000000000000 0500000000000000 1500000000000000
fd03000000000000 006f6c6400000000 1d2a2aa6bcf2c3ba 2000000004000000
0300000000000000 0500000000000000 1600000000000000 fe03000000000000
007061796c6f6164 0000000000000000 0000000000000000 0000000000000000)");
}

TEST(Formats, PlainBatchGolden) {
  BatchBuilder builder = BatchBuilder::plain({0x1122334455667788, 9}, 64, 71, 512);
  builder.hard_state(GroupId(3), "ballot");
  builder.install(GroupId(3), make_mark(6, 30));
  builder.compact(GroupId(4), {{Epoch(1), Index(2)}, ClusterMillis(3), {}});
  EXPECT_EQ(hex(builder.finish()), R"(ef58b38f2343bc88 4254434803000000 4700000000000000 a800000000000000
b04b917d3f778d4f 0600000001000000 0300000000000000 62616c6c6f740000
93e280202e9484ec 3400000002000000 0300000000000000 0600000000000000
1e00000000000000 0604000000000000 0300000001000000 0000000002000000
0000000003000000 0000000000000000 37a9d1d97d9c4fa2 1c00000003000000
0400000000000000 0100000000000000 0200000000000000 0300000000000000
0000000000000000 0000000000000000 0000000000000000 0000000000000000
0000000000000000 0000000000000000 0000000000000000 0000000000000000)");
}

// Written from the specification, not with the code's own reader.
TEST(Formats, SegmentByTheBook) {
  const Bytes bytes = small_segment();
  const auto u64 = [&](std::size_t at) {
    std::uint64_t value = 0;
    for (std::size_t i = 8; i > 0; --i) value = value << 8U | static_cast<std::uint8_t>(bytes[at + i - 1]);
    return value;
  };
  const auto place = [&](std::uint64_t offset) {
    Bytes raw;
    for (const std::uint64_t value : {std::uint64_t{0x1122334455667788}, std::uint64_t{9}, offset}) {
      for (unsigned i = 0; i < 8; ++i) raw.push_back(static_cast<char>(value >> (8U * i)));
    }
    return xxh3(raw);
  };
  const ByteView view(bytes);
  EXPECT_EQ(view.substr(0, 8), "ASNTWAL\n");
  EXPECT_EQ(u64(64), xxh3(view.substr(0, 64), place(0)));
  EXPECT_EQ(view.substr(128 + 8, 4), "OPEN");
  EXPECT_EQ(u64(128 + 16), 70U);
  EXPECT_EQ(u64(128), xxh3(view.substr(128 + 8, 24), place(128)));
  const std::uint64_t length = u64(160 + 8) & 0xFFFFFFFFU;
  EXPECT_EQ(length, 8U + 28 + 24 + 4);
  EXPECT_EQ(u64(160), xxh3(view.substr(168, 16 + length), place(160)));
  EXPECT_EQ(bytes.size() % 64, 0U);
}

TEST(Formats, SnapshotGolden) {
  EXPECT_EQ(hex(snapshot_file::encode(GroupId(5), {make_mark(3, 17), "state"})),
            R"(41534e54534e4150 0200000034000000 0500000000000000 0500000000000000
ca76d252b61990fb 0300000000000000 1100000000000000 f903000000000000
0300000001000000 0000000002000000 0000000003000000 0000000087d8ad5c
dba34b6673746174 65)");
  EXPECT_EQ(snapshot_file::name({GroupId(5), {Epoch(3), Index(17)}}),
            "g5-00000000000000000017-00000000000000000003.snap");
}

TEST(Formats, IdentityGolden) {
  EXPECT_EQ(encode_directory_identity({"bank", "n1"}),
            "assent data directory\nformat 1\ncluster \"bank\"\nnode \"n1\"\nchecksum 9d941bc744db03fe\n");
  EXPECT_THAT(
      encode_directory_identity({"bank", "n1", 77}),
      ::testing::StartsWith("assent data directory\nformat 2\ncluster \"bank\"\nnode \"n1\"\ndisk 77\nchecksum "));
}

TEST(Formats, SegmentNames) {
  EXPECT_EQ(segment_name(7), "00000000000000000007.wal");
  EXPECT_EQ(segment_number("00000000000000000007.wal"), 7U);
  EXPECT_EQ(segment_number(segment_name(~0ULL)), ~0ULL);
  for (const char* name : {"", "7.wal", "00000000000000000000.wal", "0000000000000000000x.wal",
                           "99999999999999999999.wal", "00000000000000000007.wax", "00000000000000000007.wal~"}) {
    EXPECT_FALSE(segment_number(name)) << name;
  }
}

TEST(Formats, SnapshotNames) {
  for (const char* name :
       {"", "g", "g5-1-2.snap", "g5-00000000000000000017-00000000000000000003.snap.tmp",
        "g-00000000000000000017-00000000000000000003.snap", "x5-00000000000000000017-00000000000000000003.snap"}) {
    EXPECT_FALSE(snapshot_file::parse_name(name)) << name;
  }
  const auto parsed = snapshot_file::parse_name("g5-00000000000000000017-00000000000000000003.snap");
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->group, GroupId(5));
  EXPECT_EQ(parsed->last, (Position{Epoch(3), Index(17)}));
}

// W15: valid bytes are valid in one place only.
TEST(Formats, BatchesHoldInTheirOwnPlaceOnly) {
  BatchBuilder builder = BatchBuilder::plain({1, 2}, 64, 5, 640);
  builder.hard_state(GroupId(1), "x");
  const Bytes file = Bytes(640, '\0') + builder.finish();
  EXPECT_TRUE(read_batch(file, {1, 2}, 640, 64));
  EXPECT_FALSE(read_batch(file, {1, 3}, 640, 64));
  EXPECT_FALSE(read_batch(file, {2, 2}, 640, 64));
  const Bytes moved = Bytes(64, '\0') + file;
  EXPECT_FALSE(read_batch(moved, {1, 2}, 704, 64));
  EXPECT_EQ(find_later_batch(file, {1, 2}, 0, 4), 640U);
  EXPECT_FALSE(find_later_batch(file, {1, 2}, 0, 5));
  EXPECT_FALSE(find_later_batch(moved, {1, 2}, 0, 0));
}

void sealed_as_version(Bytes& segment, char version) {
  segment[8] = version;
  Bytes seed;
  for (const std::uint64_t value : {std::uint64_t{0x1122334455667788}, std::uint64_t{9}, std::uint64_t{0}}) {
    for (unsigned i = 0; i < 8; ++i) seed.push_back(static_cast<char>(value >> (8U * i)));
  }
  const std::uint64_t checksum = xxh3(ByteView(segment).substr(0, 64), xxh3(seed));
  for (unsigned i = 0; i < 8; ++i) segment[64 + i] = static_cast<char>(checksum >> (8U * i));
}

TEST(Formats, Version1IsRead) {
  Bytes segment = small_segment();
  sealed_as_version(segment, 1);
  const auto header = read_segment_header(segment, {0x1122334455667788, 9});
  ASSERT_TRUE(header) << header.error().message;
  EXPECT_EQ(header->number, 9U);

  Bytes snapshot = snapshot_file::encode(GroupId(5), {make_mark(3, 17), "state"});
  snapshot[8] = 1;
  const std::size_t sealed = snapshot.size() - 8 - std::string_view("state").size();
  const std::uint64_t checksum = xxh3(ByteView(snapshot).substr(0, sealed));
  for (unsigned i = 0; i < 8; ++i) snapshot[sealed + i] = static_cast<char>(checksum >> (8U * i));
  const auto read = snapshot_file::decode(snapshot, {GroupId(5), {Epoch(3), Index(17)}});
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->mark, make_mark(3, 17));
}

// Written from the specification: what version 1 could not say.
TEST(Formats, MarkWithAMembershipGolden) {
  SnapshotMark mark = make_mark(3, 17);
  mark.members.outgoing = {Member(NodeId(2)), Member(NodeId(4), 9)};
  mark.members.learners = {Member(NodeId(5), 7)};
  Bytes bytes;
  encode_mark(bytes, mark);
  EXPECT_EQ(hex(bytes), R"(0300000000000000 1100000000000000 f903000000000000 7100008001030000
0001000000000000 0000000000000000 0002000000000000 0000000000000000
0003000000000000 0000000000000000 0002000000020000 0000000000000000
0000000000040000 0000000000090000 0000000000010000 0005000000000000
0007000000000000 0000000000)");
  EXPECT_EQ(decode_mark(bytes), mark);
  for (std::size_t cut = 0; cut < bytes.size(); ++cut) EXPECT_FALSE(decode_mark(ByteView(bytes).substr(0, cut))) << cut;
}

TEST(Formats, NewerSegmentIsNamedAsSuch) {
  Bytes bytes = small_segment();
  sealed_as_version(bytes, 3);
  const auto header = read_segment_header(bytes, {0x1122334455667788, 9});
  ASSERT_FALSE(header);
  EXPECT_EQ(header.error().code, ErrorCode::unsupported);
  EXPECT_THAT(header.error().message, ::testing::HasSubstr("format 3"));
}

}  // namespace
}  // namespace assent::storage_test
