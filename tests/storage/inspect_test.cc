#include "storage/inspect.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "storage/data_directory.h"
#include "storage/snapshot_store.h"
#include "storage/wal.h"
#include "tests/storage/wal_model.h"

namespace assent::storage_test {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class InspectTest : public ::testing::Test {
 protected:
  InspectTest() {
    const DirectoryIdentity identity{"bank", "n1"};
    EXPECT_TRUE(claim_data_directory(disk_, identity));
    WalOptions options = small_options(8192, 512);
    options.identity = identity_number(identity);
    WalRecovery recovered;
    auto wal = Wal::open(disk_, options, recovered);
    EXPECT_TRUE(wal);
    for (std::uint64_t i = 1; i <= 40; ++i) {
      GroupUpdate update = append(3, {make_entry(2, i, "pay " + std::to_string(i) + " " + Bytes(200, 'x'))});
      if (i == 7) update.hard_state = "\x01\x02";
      if (i == 9) update.compact = make_mark(2, 4);
      EXPECT_TRUE((*wal)->submit({update}));
      EXPECT_TRUE(settle(**wal, disk_));
    }
    auto store = SnapshotStore::open(disk_);
    EXPECT_TRUE(store);
    EXPECT_TRUE((*store)->save(GroupId(3), {make_mark(2, 4), "12345"}));
    std::vector<SnapshotStore::Saved> saved;
    for (const IoCompletion& completion : disk_.poll()) (*store)->completed(completion, saved);
  }
  Inspection inspect(const InspectOptions& options = {}) {
    auto inspection = inspect_data_directory(disk_, options);
    EXPECT_TRUE(inspection);
    return inspection ? *inspection : Inspection{};
  }

  SimDisk disk_{1};
};

TEST_F(InspectTest, SaysWhatIsThere) {
  InspectOptions options;
  options.entries_max = 2;
  options.describe_entry = [](GroupId, const Entry& entry) { return "<" + entry.payload.substr(0, 6) + ">"; };
  const Inspection inspection = inspect(options);
  EXPECT_FALSE(inspection.damaged()) << inspection.text;
  for (const char* part : {"node \"n1\", cluster \"bank\"", "write-ahead log: 3 segments", "opened by rotation",
                           "group 3", "hard state: 2 bytes, 0102", "up to entry 4 of epoch 2", "members voters=(1 2 3)",
                           "entries: 5 to 40", "<pay 39>", "<pay 40>", "5 bytes of data, whole"}) {
    EXPECT_THAT(inspection.text, HasSubstr(part));
  }
  EXPECT_THAT(inspection.text, Not(HasSubstr("<pay 38>")));
}

TEST_F(InspectTest, TellsDamageWithItsPlace) {
  ASSERT_TRUE(disk_.rot("wal/00000000000000000001.wal", 512 * 3 + 40, 1));
  ASSERT_TRUE(disk_.rot("snapshots/g3-00000000000000000004-00000000000000000002.snap", 60, 1));
  const Inspection inspection = inspect();
  EXPECT_TRUE(inspection.damaged());
  EXPECT_THAT(inspection.text, HasSubstr("DAMAGED: wal/00000000000000000001.wal is damaged at offset 1568"));
  EXPECT_THAT(inspection.text, HasSubstr("no valid batch at offsets 1536 to"));
  EXPECT_THAT(inspection.text, HasSubstr("DAMAGED: snapshots/g3-"));
}

TEST_F(InspectTest, TellsATornEnd) {
  const std::string newest = "wal/" + disk_.list("wal")->back();
  const Bytes bytes = *disk_.contents(newest);
  ASSERT_TRUE(disk_.rot(newest, bytes.size() - 500, 1));
  const Inspection inspection = inspect();
  EXPECT_FALSE(inspection.damaged()) << inspection.text;
  EXPECT_THAT(inspection.text, HasSubstr("torn end: "));
  EXPECT_THAT(inspection.text, HasSubstr("entries: 5 to 39"));
}

TEST_F(InspectTest, EmptyAndForeignDirectories) {
  SimDisk empty(1);
  const auto nothing = inspect_data_directory(empty);
  ASSERT_TRUE(nothing);
  EXPECT_FALSE(nothing->damaged());
  EXPECT_THAT(nothing->text, HasSubstr("no identity file"));
  // Without the identity file the log's own word is taken.
  ASSERT_TRUE(disk_.remove("identity"));
  EXPECT_THAT(inspect().text, HasSubstr("entries: 5 to 40"));
  disk_.put("identity", encode_directory_identity({"bank", "n2"}));
  const Inspection foreign = inspect();
  EXPECT_TRUE(foreign.damaged());
  EXPECT_THAT(foreign.text, HasSubstr("another node or cluster"));
}

}  // namespace
}  // namespace assent::storage_test
