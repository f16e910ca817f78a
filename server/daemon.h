// One node: the data directory, the loop and its thread, the transport, the client API, and their order of birth and
// death. Used by main's thread alone.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <vector>

#include "base/result.h"
#include "node/loop.h"
#include "observe/event_log.h"
#include "observe/recorder.h"
#include "server/admin_tokens.h"
#include "server/call_figures.h"
#include "server/client_api.h"
#include "server/cluster_view.h"
#include "server/config.h"
#include "server/grpc_transport.h"
#include "server/http_port.h"
#include "server/http_routes.h"
#include "server/inbox.h"
#include "server/leader_placement.h"
#include "server/leader_spread.h"
#include "server/level_memory.h"
#include "server/loop_thread.h"
#include "server/node_setup.h"
#include "server/observe_service.h"
#include "server/pending_calls.h"
#include "server/posix_disk.h"
#include "server/scrub_thread.h"
#include "server/service_gateway.h"
#include "server/span_collector.h"
#include "server/span_exporter.h"
#include "server/system_clock.h"
#include "server/thread_lane.h"
#include "server/trace_options.h"
#include "server/watch_relay.h"
#include "sql_adapter/sqlite_store.h"

namespace assent {

class Daemon {
 public:
  // Opens the data directory, recovers, listens on both ports. The error says what to do.
  [[nodiscard]] static Result<std::unique_ptr<Daemon>> open(const ServerConfig& config,
                                                            const TraceOptions& traces = {});
  ~Daemon();
  Daemon(const Daemon&) = delete;
  Daemon& operator=(const Daemon&) = delete;

  // Becomes readable once the loop has failed: failure() then says why.
  [[nodiscard]] int failure_event() const { return failure_event_; }
  [[nodiscard]] std::optional<Error> failure() const;

  // A graceful end: no longer serving, leadership handed over, what waits answered, everything closed.
  void stop();

 private:
  Daemon(const ServerConfig& config, const TraceOptions& traces);
  Result<void> start();
  Result<void> open_loop();
  // The one loop, or all of them.
  Result<std::unique_ptr<Loop>> open_loops(std::uint64_t incarnation);
  [[nodiscard]] std::vector<PosixDisk*> disks() const;
  void begin_threads();
  void begin_scrub();
  Result<void> open_http();
  void open_export();

  // On the loop's thread.
  void ticked(Loop& loop);
  void failed(const Error& error);
  [[nodiscard]] TraceHeaders trace_headers(const TxnId& txn, std::string_view method, const std::string& branch) const;
  void note(NodeEventKind kind, std::string group, std::string text);
  void watch_leadership(GroupId group, const Leadership& leadership);
  void free_memory(const Loop& loop);
  void watch_groups(const std::vector<GroupStatus>& changed);
  void watch_losses(const GroupStatus& group);
  void say_lost(GroupId group, const std::string& entries);
  void data_remade(const GroupConfig& group);
  void forget(const GroupConfig& group);  // whose replica here is gone
  // Goes by a newer map of the cluster, if there is one.
  void follow_map(Loop& loop);
  [[nodiscard]] std::optional<ClusterMap> newer_map(Loop& loop) const;
  void adopt_map(Loop& loop, const ClusterMap& map);
  void damage_found(const Scrubber::Damage& damage, bool repaired);
  void hand_over(Loop& loop, const std::vector<GroupStatus>& groups);

  const ServerConfig config_;
  const TraceOptions traces_;
  ClusterView cluster_;  // of the loop's thread, once that runs
  SharedView view_;      // the same for others
  Inbox inbox_;
  PendingCalls pending_;
  const ClientGate gate_;
  SystemClock clock_;
  RelayClock watch_clock_;  // of the loop's thread, as what follows
  Recorder recorder_;
  EventLog events_;          // of the loop's thread
  CallFigures calls_;        // of the loop's thread
  PeerLatencies latencies_;  // of the loop's thread
  SnapshotTraffic traffic_;  // likewise
  ObserveService observe_;
  std::unique_ptr<SpanExporter> exporter_;    // none: nothing is exported
  std::unique_ptr<SpanCollector> collector_;  // of the loop's thread; there before it begins
  const HttpSources http_sources_;
  AdminTokens admin_tokens_;
  HttpPort http_;
  std::deque<OpenStores> stores_;  // of each loop: its thread's alone, and afterwards the main one's
  std::unique_ptr<PosixDisk> disk_;
  std::unique_ptr<LevelMemory> levels_;
  std::unique_ptr<GrpcTransport> transport_;
  std::unique_ptr<ServiceGateway> services_;
  std::unique_ptr<Loop> loop_;
  std::vector<ThreadLane*> lanes_;  // all loops but the first, where there are several; owned by loop_
  ClientApi api_;
  std::unique_ptr<LoopThread> thread_;
  std::unique_ptr<ScrubThread> scrub_;  // none: nothing is scrubbed
  int failure_event_ = -1;

  // Of the loop's thread.
  std::uint64_t ticks_ = 0;
  std::uint64_t let_go_ = 0;  // of LoopStatistics, as last seen
  std::size_t to_free_ = 0;   // bytes
  std::map<GroupId, Leadership> leaders_;
  std::map<GroupId, Index> snapshots_;
  std::set<GroupId> halted_;  // that were told of
  std::set<GroupId> lossy_;   // the same, of those that lack entries which were damaged
  std::map<GroupRole, std::set<GroupId>> leaderless_;
  std::map<GroupId, Epoch> handed_over_;  // while draining: in which epoch each group was given away
  ClientApi::Serving serving_;
  LeaderPlacement placement_;
  LeaderSpread spread_;

  // Shared between the loop's thread and the main one.
  std::atomic<bool> draining_ = false;
  mutable std::mutex mutex_;
  std::condition_variable drained_event_;
  bool drained_ = false;          // guarded by mutex_: nothing is led here any more
  std::optional<Error> failure_;  // guarded by mutex_
};

}  // namespace assent
