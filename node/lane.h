// One of a node's several loops, as LoopSet sees it: what goes in, what came out. Where it runs is the lane's business:
// in the caller's thread (InlineLane), or in one of its own (server/thread_lane.h).
//
// Called by the thread of the LoopSet alone.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "node/loop.h"

namespace assent {

struct LaneOutput {
  std::vector<std::pair<NodeId, Bytes>> frames;  // to this very node: for its other loops
  std::vector<std::pair<NodeId, SnapshotTransfer>> snapshots;
  std::vector<ClientReply> replies;
  std::vector<ServiceCall> calls;
};

class Lane {
 public:
  virtual ~Lane() = default;

  // Soon, and in order. TransportReady: the lane's last frame to that node is on its way.
  virtual void handle(Event event) = 0;
  // For lanes that have no time of their own.
  virtual void tick() = 0;
  virtual void flush() = 0;
  // Runs it on the loop between two events, and returns when it has run; not at all once the loop has failed.
  virtual void ask(const std::function<void(Loop&)>& question) = 0;
  // Since the last call. At most one frame for each node, until that is said to be on its way.
  [[nodiscard]] virtual LaneOutput take() = 0;
  [[nodiscard]] virtual std::optional<Error> failure() const = 0;
  // As of Loop; a lane that has time of its own needs nobody to flush it.
  [[nodiscard]] virtual bool has_more() const { return false; }
  // As of Loop; called in the LoopSet's thread.
  virtual void observe(Loop::Observer observer) = 0;
  virtual void watch(TxnWatcher* watcher) = 0;
  [[nodiscard]] virtual const WalRecovery& recovery() const = 0;
};

// Between a loop and its lane: frames wait until they are taken.
class LaneTransport final : public Transport {
 public:
  [[nodiscard]] bool ready(NodeId to) const override { return !waiting_.contains(to); }
  void send(NodeId to, Bytes frame) override {
    waiting_.insert(to);
    frames_.emplace_back(to, std::move(frame));
  }
  void send_snapshot(NodeId to, SnapshotTransfer transfer) override {
    snapshots_.emplace_back(to, std::move(transfer));
  }
  void on_its_way(NodeId to) { waiting_.erase(to); }
  void take(LaneOutput& out) {
    out.frames = std::exchange(frames_, {});
    out.snapshots = std::exchange(snapshots_, {});
  }

 private:
  std::set<NodeId> waiting_;
  std::vector<std::pair<NodeId, Bytes>> frames_;
  std::vector<std::pair<NodeId, SnapshotTransfer>> snapshots_;
};

// A loop in the thread of the LoopSet.
class InlineLane final : public Lane {
 public:
  [[nodiscard]] static Result<std::unique_ptr<Lane>> open(const NodeConfig& config, Disk& disk, Clock& clock,
                                                          const LogFactory& logs,
                                                          const ApplicationFactory& applications);

  void handle(Event event) override;
  void tick() override { loop_->tick(); }
  void flush() override { loop_->flush(); }
  void ask(const std::function<void(Loop&)>& question) override { question(*loop_); }
  [[nodiscard]] LaneOutput take() override;
  [[nodiscard]] std::optional<Error> failure() const override { return loop_->failure(); }
  [[nodiscard]] bool has_more() const override { return loop_->has_more(); }
  void observe(Loop::Observer observer) override { loop_->observe(std::move(observer)); }
  void watch(TxnWatcher* watcher) override { loop_->watch(watcher); }
  [[nodiscard]] const WalRecovery& recovery() const override { return loop_->recovery(); }

 private:
  InlineLane() = default;
  LaneTransport transport_;
  std::unique_ptr<Loop> loop_;
};

}  // namespace assent
