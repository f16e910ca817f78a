// B08, B09: a whole node starts on a disk on which one byte was changed, or one file was cut. The write-ahead log,
// snapshots: each byte, each length. It starts with the truth, or without entries that it says to be lost, and then it
// does not lead the group; or it refuses with words. The last batch alone may be taken for a torn one.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <optional>

#include "consensus/raft/raft_factory.h"
#include "node/coordinator_app.h"
#include "node/loop.h"
#include "node/shard_app.h"
#include "participant/memory_store.h"
#include "sim/sim_disk.h"
#include "storage/wal_recovery.h"
#include "tests/node/test_node.h"

namespace assent {
namespace {

using Files = std::map<std::string, Bytes>;
using Rows = std::map<std::string, Bytes>;

constexpr NodeId self{1};
constexpr GroupId c0{1};
constexpr GroupId s1{2};
constexpr std::uint64_t identity = 77;

// The only member of its groups: whatever its log holds is committed as soon as it runs.
class LonelyNode {
 public:
  explicit LonelyNode(SimDisk& disk) : disk_(disk) {}

  Result<void> open() {
    NodeConfig config;
    config.self = self;
    config.incarnation = 1;
    config.groups = {{c0, "c0", GroupRole::coordinator, {self}}, {s1, "s1", GroupRole::shard, {self}}};
    config.snapshot_every = 11;
    config.wal.segment_bytes = 2048;
    config.wal.block_bytes = 64;
    config.wal.identity = identity;
    auto opened = Loop::open(config, disk_, transport_, clock_, make_raft_factory({.tail_entries_max = 0}),
                             [this](const GroupConfig& group) -> Result<std::unique_ptr<Application>> {
                               if (group.role == GroupRole::coordinator)
                                 return make_coordinator_application(group.id, {});
                               auto store = std::make_unique<MemoryStore>();
                               store_ = store.get();
                               return make_shard_application(group.id, {}, std::move(store));
                             });
    if (!opened) return fail(opened.error());
    loop_ = std::move(*opened);
    for (int i = 0; i < 400 && !leads() && !loop_->failure(); ++i) {
      loop_->tick();
      settle();
    }
    return loop_->failure() ? Result<void>(fail(*loop_->failure())) : Result<void>();
  }
  void put(const std::string& key, const std::string& value) {
    Execute execute;
    execute.txn = TxnId::make(clock_.wall(), ++requests_, 1);
    execute.branches = {{s1, {KvPut{key, value}}}};
    loop_->handle(ClientRequest{RequestId(requests_), s1, execute});
    settle();
    const auto replies = loop_->take_replies();
    ASSERT_TRUE(replies.size() == 1 && replies.front().answer) << "a put is answered";
  }
  [[nodiscard]] const Rows& rows() const { return store_->rows(); }
  // nullopt: it has given up what it had, and would be begun anew by a leader.
  [[nodiscard]] std::optional<GroupStatus> shard() const {
    for (const GroupStatus& group : loop_->status()) {
      if (group.config.id == s1) return group;
    }
    return std::nullopt;
  }
  [[nodiscard]] bool says_what_is_lost() const { return loop_->recovery().lost.contains(s1); }

 private:
  bool leads() {
    for (const GroupStatus& group : loop_->status()) {
      if (!group.log.leadership.self_ready) return false;
    }
    return true;
  }
  void settle() {
    loop_->flush();
    while (!loop_->failure() && disk_.next_completion()) {
      loop_->handle(DiskProgress{});
      loop_->flush();
    }
  }

  SimDisk& disk_;
  CollectingTransport transport_;
  TestClock clock_;
  std::unique_ptr<Loop> loop_;
  MemoryStore* store_ = nullptr;  // the loop's
  std::uint64_t requests_ = 0;
};

class DamagedStart : public ::testing::Test {
 protected:
  DamagedStart() {
    SimDisk disk(1);
    LonelyNode node(disk);
    EXPECT_TRUE(node.open());
    for (int i = 0; i < 30; ++i) {
      before_last_ = node.rows();
      node.put(std::string(1, static_cast<char>('a' + i % 5)), "value " + std::to_string(i));
    }
    all_ = node.rows();
    for (const std::string& path : disk.paths()) files_[path] = *disk.contents(path);
    const auto scan = scan_wal(disk, "wal", identity);
    EXPECT_TRUE(scan && scan->head);
    head_ = "wal/" + wal_format::segment_name(scan->head->header.number);
    last_batch_ = scan->head->last_batch_opens ? 0 : scan->head->last_batch_offset;
  }

  void expect_truth_or_words(const Files& files, const std::string& path, std::uint64_t offset, bool may_be_torn) {
    SimDisk disk(1);
    for (const auto& [name, bytes] : files) disk.put(name, bytes);
    LonelyNode node(disk);
    const auto opened = node.open();
    if (!opened) {
      ++refused_;
      EXPECT_EQ(opened.error().code, ErrorCode::corruption) << opened.error().message;
      EXPECT_FALSE(opened.error().message.empty());
      return;
    }
    const auto shard = node.shard();
    if (!shard) {
      ++given_up_;
      EXPECT_TRUE(node.says_what_is_lost()) << path << " damaged at " << offset;
      return;
    }
    if (shard->lost) {
      ++stepped_out_;
      EXPECT_FALSE(shard->log.leadership.self_leads) << path << " damaged at " << offset;
      EXPECT_TRUE(std::includes(all_.begin(), all_.end(), node.rows().begin(), node.rows().end(),
                                [](const auto& one, const auto& other) { return one.first < other.first; }));
      return;
    }
    ++started_;
    const bool right = node.rows() == all_ || (may_be_torn && node.rows() == before_last_);
    EXPECT_TRUE(right) << path << " damaged at " << offset << ": the node started with something else";
  }
  [[nodiscard]] bool in_last_batch(const std::string& path, std::uint64_t offset) const {
    return path == head_ && offset >= last_batch_;
  }

  Files files_;
  std::string head_;
  std::uint64_t last_batch_ = 0;
  Rows all_;
  Rows before_last_;
  int refused_ = 0;
  int started_ = 0;
  int stepped_out_ = 0;
  int given_up_ = 0;  // for a damaged snapshot
};

TEST_F(DamagedStart, B08_with_each_byte_changed) {
  int snapshots = 0;
  for (const auto& [path, bytes] : files_) {
    snapshots += path.starts_with("snapshots/") ? 1 : 0;
    for (std::uint64_t offset = 0; offset < bytes.size(); ++offset) {
      Files files = files_;
      files[path][offset] = static_cast<char>(static_cast<unsigned char>(bytes[offset]) ^ 0x40U);
      expect_truth_or_words(files, path, offset, in_last_batch(path, offset));
      if (HasFailure()) return;
    }
  }
  EXPECT_GE(snapshots, 1) << "a snapshot is among what is damaged";
  EXPECT_GT(given_up_, 500);
  EXPECT_GT(stepped_out_, 500);
}

TEST_F(DamagedStart, B09_with_each_file_cut_at_each_length_or_gone) {
  for (const auto& [path, bytes] : files_) {
    for (std::uint64_t size = 0; size <= bytes.size(); ++size) {
      // Cut before its last batch the newest segment is what a crash might have left: it may hold less, never else.
      if (path == head_ && size < last_batch_) continue;
      Files files = files_;
      size < bytes.size() ? files[path].resize(size) : static_cast<void>(files.erase(path));
      if (path == head_ && size == bytes.size()) continue;
      expect_truth_or_words(files, path, size, in_last_batch(path, size));
      if (HasFailure()) return;
    }
  }
  EXPECT_GT(given_up_, 100);
  EXPECT_GT(stepped_out_, 100);
}

}  // namespace
}  // namespace assent
