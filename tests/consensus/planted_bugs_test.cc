// Can the contract suite fail? Cores with a planted bug each must be found out within a bounded number of seeds.
#include <gtest/gtest.h>

#include <deque>
#include <memory>
#include <utility>

#include "consensus/raft/hard_state.h"
#include "tests/consensus/cluster.h"
#include "tests/consensus/raft_cases.h"

namespace assent::testing {
namespace {

// Passes everything on; a bug overrides what it breaks.
class Wrapped : public ReplicatedLog {
 public:
  explicit Wrapped(std::unique_ptr<ReplicatedLog> core) : core_(std::move(core)) {}

  void tick() override { core_->tick(); }
  void receive(NodeId from, ByteView message) override { core_->receive(from, message); }
  Result<Position> propose(Bytes command, ClusterMillis now) override {
    return core_->propose(std::move(command), now);
  }
  Result<Position> change_membership(std::span<const MemberChange> changes, ClusterMillis now) override {
    return core_->change_membership(changes, now);
  }
  Result<void> request_read(ReadId id) override { return core_->request_read(id); }
  void durable(std::uint64_t output_number) override { core_->durable(output_number); }
  Output take_output() override { return core_->take_output(); }
  void snapshot_taken(const SnapshotMark& mark) override { core_->snapshot_taken(mark); }
  void receive_snapshot(NodeId from, Epoch epoch, const SnapshotMark& mark) override {
    core_->receive_snapshot(from, epoch, mark);
  }
  void snapshot_sent(NodeId to, bool delivered) override { core_->snapshot_sent(to, delivered); }
  void transfer_leadership(NodeId to) override { core_->transfer_leadership(to); }
  [[nodiscard]] LogStatus status() const override { return core_->status(); }
  [[nodiscard]] Result<SnapshotMark> mark_at(Index index) const override { return core_->mark_at(index); }
  [[nodiscard]] std::uint64_t digest() const override { return core_->digest(); }

 protected:
  std::unique_ptr<ReplicatedLog> core_;
};

// Votes and acknowledgements leave before they are durable (C04, C05).
class AnswersBeforeItsSync : public Wrapped {
 public:
  using Wrapped::Wrapped;
  Output take_output() override {
    Output out = core_->take_output();
    for (ConsensusMessage& message : out.send_after_sync) out.send_now.push_back(std::move(message));
    out.send_after_sync.clear();
    return out;
  }
};

// The leader counts itself before its own disk has the entry (C06).
class CountsItselfBeforeItsSync : public Wrapped {
 public:
  using Wrapped::Wrapped;
  Output take_output() override {
    Output out = core_->take_output();
    core_->durable(out.number);
    return out;
  }
};

// Reads are answered without asking a majority (R7).
class ReadsWithoutQuorum : public Wrapped {
 public:
  using Wrapped::Wrapped;
  Result<void> request_read(ReadId id) override {
    const LogStatus status = core_->status();
    if (!status.leadership.self_ready) return fail(ErrorCode::not_leader, "");
    ready_.push_back({id, status.committed});
    return {};
  }
  Output take_output() override {
    Output out = core_->take_output();
    for (const ReadReady& read : ready_) out.reads.push_back(read);
    ready_.clear();
    return out;
  }

 private:
  std::deque<ReadReady> ready_;
};

// A leader calls itself ready as soon as it leads (C11).
class ReadyAtOnce : public Wrapped {
 public:
  using Wrapped::Wrapped;
  Output take_output() override {
    Output out = core_->take_output();
    if (out.leadership && out.leadership->self_leads) out.leadership->self_ready = true;
    return out;
  }
};

// Stamps are the bare clock (L2): shown by hiding the last stamp.
class StampsByTheClock : public Wrapped {
 public:
  using Wrapped::Wrapped;
  Output take_output() override {
    Output out = core_->take_output();
    for (EntryPtr& entry : out.committed) {
      if (entry->index.value % 17 != 0) continue;
      Entry changed = *entry;
      changed.stamp = changed.stamp.previous();
      entry = std::make_shared<const Entry>(std::move(changed));
    }
    return out;
  }
};

template <class Bug>
LogFactory with_bug() {
  return [core = make_raft_factory(small_raft_options())](
             const LogSetup& setup) -> Result<std::unique_ptr<ReplicatedLog>> {
    return std::make_unique<Bug>(core(setup).value());
  };
}

// The vote is forgotten at restart (C04, R6).
LogFactory forgets_its_vote() {
  return [core = make_raft_factory(small_raft_options())](LogSetup setup) {
    auto hard = raft::decode_hard_state(setup.durable.hard_state);
    if (hard && !setup.durable.hard_state.empty()) {
      hard->vote = {};
      // ... and the term with it, as far as the log does not betray it.
      hard->term =
          setup.durable.entries.empty() ? setup.durable.snapshot.last.epoch : setup.durable.entries.back()->epoch;
      setup.durable.hard_state = raft::encode_hard_state(*hard);
    }
    return core(setup);
  };
}

// The log is forgotten at restart, as if the disk had never been synced.
LogFactory forgets_its_log() {
  return [core = make_raft_factory(small_raft_options())](LogSetup setup) {
    auto& entries = setup.durable.entries;
    entries.resize(entries.size() - std::min<std::size_t>(entries.size(), 3));
    return core(setup);
  };
}

void expect_found(const LogFactory& factory, const std::string& law) {
  constexpr std::uint64_t seeds_max = 300;
  for (std::uint64_t seed = 1; seed <= seeds_max; ++seed) {
    Rng rng = Rng(seed).split("swarm");
    Faults faults = Faults::swarm(rng);
    faults.crash = 0.005 * static_cast<double>(seed % 4);
    Cluster cluster(factory, limits_of(small_raft_options()), 3, seed, faults);
    cluster.run(600);
    if (cluster.report().find(law) != std::string::npos) {
      ::testing::Test::RecordProperty("seeds", static_cast<int>(seed));
      return;
    }
  }
  ADD_FAILURE() << "not found by " << seeds_max << " seeds";
}

TEST(PlantedBugs, C04_C05_an_answer_before_its_sync_is_found) { expect_found(with_bug<AnswersBeforeItsSync>(), "L4"); }
TEST(PlantedBugs, C06_a_leader_that_counts_itself_before_its_sync_is_found) {
  expect_found(with_bug<CountsItselfBeforeItsSync>(), "L4");
}
TEST(PlantedBugs, R7_a_read_without_a_quorum_is_found) { expect_found(with_bug<ReadsWithoutQuorum>(), "L6"); }
TEST(PlantedBugs, C11_a_leader_ready_too_soon_is_found) { expect_found(with_bug<ReadyAtOnce>(), "L5"); }
TEST(PlantedBugs, L2_a_stamp_that_goes_back_is_found) { expect_found(with_bug<StampsByTheClock>(), "L"); }
TEST(PlantedBugs, C04_a_vote_forgotten_at_restart_is_found) { expect_found(forgets_its_vote(), "L3"); }
TEST(PlantedBugs, a_log_forgotten_at_restart_is_found) { expect_found(forgets_its_log(), "L"); }

}  // namespace
}  // namespace assent::testing
