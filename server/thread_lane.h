// A loop of a node in a thread of its own, with a disk of its own: every loop but the first, which lives in the thread
// that waits on gRPC's queue (server/loop_thread.h). It ticks by itself; what it says waits until the other thread
// takes it, which is woken once for all that gathers meanwhile.
//
// Shared: what waits to go in (the inbox), and out_, failure_ and told_ under mutex_. Everything else belongs to one of
// the two threads. The lane's thread never waits for the other one, so that ask() always ends.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "node/lane.h"
#include "server/inbox.h"
#include "server/posix_disk.h"
#include "server/watch_relay.h"

namespace assent {

struct ThreadLaneOptions {
  NodeConfig config;   // of this loop: lane_config()
  std::string folder;  // of its log and snapshots; locked, and made when it is not there
  LogFactory logs;
  ApplicationFactory applications;
  std::function<void()> wake;  // from the lane's thread: there is something to take
  // From the lane's thread: its replica of the group is gone. The observer hears of it later.
  std::function<void(const GroupConfig&)> left;
};

class ThreadLane final : public Lane {
 public:
  // Opens the disk and recovers, in the caller's thread; the lane runs from start() on. The clocks outlive it; relayed
  // is that of the watcher.
  [[nodiscard]] static Result<std::unique_ptr<ThreadLane>> open(ThreadLaneOptions options, Clock& clock,
                                                                RelayClock& relayed);
  ~ThreadLane() override { stop(); }

  void start();
  // Ends the thread after what it is doing now. Twice is harmless.
  void stop();
  [[nodiscard]] PosixDisk& disk() { return *disk_; }
  // Frames of peers that were dropped because too many waited for this loop.
  [[nodiscard]] std::uint64_t frames_dropped() const { return frames_dropped_; }

  void handle(Event event) override;
  void tick() override {}
  void flush() override {}
  void ask(const std::function<void(Loop&)>& question) override;
  [[nodiscard]] LaneOutput take() override;
  [[nodiscard]] std::optional<Error> failure() const override;
  void observe(Loop::Observer observer) override;
  void watch(TxnWatcher* watcher) override;
  [[nodiscard]] const WalRecovery& recovery() const override { return loop_->recovery(); }

 private:
  using Observed = std::function<void(const Loop::Observer&)>;
  struct Out {
    LaneOutput output;
    std::vector<WatchRelay::Told> watched;
    std::vector<Observed> observed;
  };

  ThreadLane(ThreadLaneOptions options, Clock& clock, RelayClock& relayed);
  void run();
  void wait_until(std::chrono::steady_clock::time_point until);
  void handle_in_thread(Inbox::Item& item);
  // To the other thread; false when the loop has failed.
  [[nodiscard]] bool give();

  const ThreadLaneOptions options_;
  RelayClock& relayed_;

  mutable std::mutex mutex_;
  std::condition_variable woken_event_;
  bool woken_ = false;  // guarded by mutex_, like all up to failure_
  bool stopping_ = false;
  bool told_ = false;            // the other thread was woken, and has not taken yet
  std::size_t frame_bytes_ = 0;  // of frames that wait in the inbox
  Out out_;
  std::optional<Error> failure_;

  Inbox inbox_;  // its wake uses what stands above, the disk's wake uses it

  // Of the lane's thread.
  WatchRelay relay_;
  LaneTransport transport_;
  std::unique_ptr<PosixDisk> disk_;
  std::unique_ptr<Loop> loop_;
  std::vector<Observed> observed_;

  // Of the LoopSet's thread.
  TxnWatcher* watcher_ = nullptr;
  Loop::Observer observer_;
  std::uint64_t frames_dropped_ = 0;
  std::thread thread_;
};

}  // namespace assent
