// A whole node, with everything that may reach it from outside: frames of its peers with right heads and any items,
// snapshots, requests of clients; and its own disk, time and restarts. Whatever it took in, it can start from again.
#include <memory>

#include "base/check.h"
#include "consensus/raft/message_codec.h"
#include "consensus/raft/raft_factory.h"
#include "coordinator/decisions.h"
#include "fuzz/application.h"
#include "fuzz/fuzz.h"
#include "fuzz/input.h"
#include "fuzz/samples.h"
#include "node/coordinator_app.h"
#include "node/frame.h"
#include "node/loop.h"
#include "node/shard_app.h"
#include "participant/memory_store.h"
#include "sim/sim_disk.h"

namespace assent::fuzz {
namespace {

constexpr NodeId self{1};
constexpr GroupId c0{9};
constexpr GroupId s1{1};
const std::vector<NodeId> members{NodeId(1), NodeId(2), NodeId(3)};

struct SilentTransport final : Transport {
  [[nodiscard]] bool ready(NodeId) const override { return true; }
  void send(NodeId, Bytes frame) override {
    std::vector<FrameItem> items;
    require(decode_frame(frame, items).has_value(), "what is sent can be read");
  }
  void send_snapshot(NodeId, SnapshotTransfer) override {}
};
struct FixedClock final : Clock {
  [[nodiscard]] ClusterMillis wall() const override { return ClusterMillis(sample_millis); }
  [[nodiscard]] std::uint64_t monotonic_micros() const override { return 0; }
};

class Node {
 public:
  Node() : disk_(1) { start(); }

  void step(Input& input) {
    switch (input.below(8)) {
      case 0: loop_->handle(FrameReceived{NodeId(input.below(4)), Bytes(input.piece())}); break;
      case 1:
      case 2: loop_->handle(FrameReceived{NodeId(2), frame(input)}); break;
      case 3: loop_->handle(SnapshotReceived{NodeId(2 + input.below(2)), transfer(input)}); break;
      case 4:
        for (std::uint64_t ticks = input.below(32); ticks > 0; --ticks) {
          loop_->tick();
          settle();
        }
        break;
      case 5: loop_->handle(request(input)); break;
      case 6: loop_->handle(SnapshotSendEnded{NodeId(input.below(4)), few(input), input.flag()}); break;
      default:
        if (input.below(8) == 7) restart(input.flag());
    }
    settle();
  }
  [[nodiscard]] bool failed() const { return loop_->failure().has_value(); }
  void restart(bool power) {
    loop_.reset();
    disk_.crash(power ? CrashKind::power : CrashKind::process);
    start();
  }

 private:
  void start() {
    NodeConfig config;
    config.self = self;
    config.incarnation = ++incarnation_;
    config.groups = {{c0, "c0", GroupRole::coordinator, members}, {s1, "s1", GroupRole::shard, members}};
    config.snapshot_every = 3;
    config.wal.segment_bytes = 4096;
    config.wal.block_bytes = 512;
    RaftOptions options;
    options.election_ticks = 4;
    options.heartbeat_ticks = 1;
    options.tail_entries_max = 0;
    auto opened = Loop::open(config, disk_, transport_, clock_, make_raft_factory(options),
                             [](const GroupConfig& group) -> Result<std::unique_ptr<Application>> {
                               if (group.role == GroupRole::coordinator)
                                 return make_coordinator_application(group.id, {});
                               return make_shard_application(group.id, {}, std::make_unique<MemoryStore>());
                             });
    require(opened.has_value(), opened ? "" : "a node starts from what it had: " + opened.error().message);
    loop_ = std::move(*opened);
  }

  void settle() {
    for (int round = 0; round < 20; ++round) {
      loop_->flush();
      static_cast<void>(loop_->take_replies());
      if (!disk_.next_completion() || failed()) return;
      loop_->handle(DiskProgress{});
    }
  }

  static GroupId few(Input& input) { return input.flag() ? c0 : s1; }

  Bytes frame(Input& input) {
    Bytes frame;
    append_header(frame, FrameHeader{NodeId(2), self, 1, incarnation_});
    for (std::uint64_t items = 1 + input.below(3); items > 0; --items) {
      switch (input.below(4)) {
        case 0: append_item(frame, ConsensusItem{few(input), input.piece()}); break;
        case 1: {
          const GroupId group = few(input);
          append_item(frame, ConsensusItem{group, consensus(group, input)});
          break;
        }
        case 2:
          append_item(frame, MessageItem{few(input), few(input), Epoch(input.number()), few_messages(input)});
          break;
        default: append_item(frame, HintItem{few(input), Epoch(input.number()), NodeId(input.below(4))});
      }
    }
    return frame;
  }
  // What carries a follower on: a leader's appends and heartbeats, an election's replies.
  static Bytes consensus(GroupId group, Input& input) {
    const Epoch term(input.below(4));
    const Position prev{Epoch(input.below(4)), Index(input.below(8))};
    switch (input.below(4)) {
      case 0: {
        const auto entry = std::make_shared<const Entry>(
            Entry{term, prev.index.next(), ClusterMillis(sample_millis), EntryKind::command, Bytes(input.piece())});
        return raft::encode(group, raft::AppendRequest{term, prev, Index(input.below(8)), {entry}});
      }
      case 1: return raft::encode(group, raft::Heartbeat{term, prev.index, input.byte()});
      case 2: return raft::encode(group, raft::PreVoteReply{Epoch(term.value - 1), term, true});
      default: return raft::encode(group, raft::VoteReply{term, true});
    }
  }

  SnapshotTransfer transfer(Input& input) {
    const GroupId group = few(input);
    const Position last{Epoch(input.below(4)), Index(input.number())};
    return {group, Epoch(input.below(4)), {last, ClusterMillis(sample_millis), members}, data(group, input)};
  }
  // A snapshot that can be restored, or any bytes.
  static Bytes data(GroupId group, Input& input) {
    if (input.flag()) return Bytes(input.piece());
    if (group == c0) return *Decisions().snapshot();
    return *MemoryStore().snapshot();
  }

  ClientRequest request(Input& input) {
    ClientRequest request{RequestId(++requests_), few(input), Query{{KvGet{"a"}}}};
    const TxnId txn = few_txns(input);
    if (input.flag()) request.body = GetOutcome{txn, input.flag(), 1};
    if (input.flag()) request.body = Execute{txn, {}, Protocol::automatic, {{s1, {KvPut{"a", "b"}}}}, 5};
    return request;
  }

  SimDisk disk_;
  SilentTransport transport_;
  FixedClock clock_;
  std::unique_ptr<Loop> loop_;
  std::uint64_t incarnation_ = 0;
  std::uint64_t requests_ = 0;
};

}  // namespace

void run_node(ByteView bytes) {
  Input input(bytes);
  Node node;
  while (!input.empty() && !node.failed()) node.step(input);
  if (!node.failed()) node.restart(false);
}

std::vector<Bytes> node_seeds() {
  Seed follower;  // appends of a leader, then its heartbeat
  for (std::uint64_t index = 0; index < 5; ++index) {
    follower.byte(1).byte(0).byte(1).byte(0).byte(1).byte(index == 0 ? 0 : 1).byte(index).byte(0).piece("").byte(index);
  }
  follower.byte(4).byte(20).byte(7).byte(7).byte(1);
  Seed leader;  // pre-vote and vote replies between ticks
  leader.byte(4).byte(31).byte(1).byte(0).byte(1).byte(0).byte(1).byte(0).byte(0).byte(2);
  leader.byte(1).byte(0).byte(1).byte(0).byte(1).byte(0).byte(0).byte(3).byte(5).byte(0).byte(0).byte(1).byte(0).byte(
      1);
  Seed snapshot;
  snapshot.byte(3).byte(0).byte(1).byte(1).byte(9).byte(1).byte(0).byte(4).byte(3).byte(7).byte(7).byte(0);
  return {follower, leader, snapshot};
}

}  // namespace assent::fuzz
