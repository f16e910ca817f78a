// What one seed draws before its world begins: the shape of the cluster, its limits, and how often each fault comes.
// Swarm testing (Groce et al., ISSTA 2012): zero is a value for every probability, some seeds have one kind of fault
// and some none, because faults that always come together hide the states that one of them alone would reach.
#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "base/rng.h"
#include "coordinator/outcome_history.h"
#include "sim/choices.h"
#include "sim/schedule.h"
#include "txn_proto/types.h"

namespace assent::sim {

enum class Backend : std::uint8_t {
  sql,        // SqliteStore, SQL statements
  sqlite_kv,  // SqliteStore, key-value operations
  memory_kv,  // MemoryStore, key-value operations
};

struct NetworkFaults {
  Micros delay_min = 100;
  Micros delay_mean = 300;  // on top of the minimum, exponential
  double loss = 0;
  double duplicate = 0;
  double reorder = 0;   // of the messages that do not keep their place behind the one before them
  double straggle = 0;  // of the messages that come seconds later
  double stale = 0;     // of the messages after which an old frame of the same link comes again
  double clog = 0;      // of the messages after which the link stands still for a while
  Micros clog_mean = 0;
  double snapshot_loss = 0;
  double client_loss = 0;
};

struct DiskFaults {
  Micros latency_min = 20;
  Micros latency_mean = 200;
  double slow = 0;            // of the nodes whose disk takes ten times as long
  double quick = 0;           // of the times a node begins what it has to write: it is done at once
  Micros sync_error_gap = 0;  // mean time between; 0: never
  Micros no_space_gap = 0;
  double read_error = 0;  // of the crashes after which a read fails at the start
  double rot = 0;         // of the crashes of the run's one victim that leave damage at rest
  Micros rot_gap = 0;     // between damages at rest while it runs
  Micros cold_gap = 0;    // ... of what its scrubber reads, alone
  Micros loss_gap = 0;    // between losses of a whole disk, which an operator repairs
};

// Mean times between faults of a kind over the whole cluster, and how long each lasts; 0: never.
struct LifeFaults {
  Micros crash_gap = 0;
  Micros restart_mean = 500 * millisecond;
  Micros crash_all_gap = 0;
  Micros pause_gap = 0;
  Micros pause_mean = 0;
  Micros partition_gap = 0;
  Micros partition_mean = 0;
  Micros swizzle_gap = 0;   // nodes are cut off one after the other and come back in another order
  Micros transfer_gap = 0;  // an operator asks a leader to hand over
  Micros change_gap = 0;    // ... to change its group's members
};

struct ClockFaults {
  double drift_max = 0;
  std::uint64_t offset_max_millis = 0;
  Micros step_gap = 0;
  std::uint64_t step_max_millis = 0;
  double lease_drift_max = 0;  // of the clocks that leases are measured by, which do not jump
};

enum class ServiceKind : std::uint8_t {
  ledger,    // a service of somebody's own, with the barrier in its database
  postgres,  // an agent before a database that prepares register and work in one step
  mariadb,   // ... in two
};

// A service that transactions name.
struct ServiceSpec {
  std::string name;
  std::string target;
  ServiceKind kind = ServiceKind::ledger;
  unsigned processes = 1;  // before one database
  std::uint64_t clock_ahead_millis = 0;
};

struct ServiceFaults {
  double crash = 0;     // of the requests to its database at which a process dies
  double database = 0;  // ... that break, or at which the database dies
  Micros death_gap = 0;
  Micros absence_mean = 300 * millisecond;
  double call_loss = 0;
  double reply_loss = 0;
  double duplicate = 0;
  Micros delay_mean = 0;
  double hang = 0;
  double fail = 0;    // of the commits and aborts: not now
  double later = 0;   // of the prepares: not now
  double refuse = 0;  // ... for a reason of its own
};

struct Swarm {
  // shape
  unsigned nodes = 3;
  unsigned shards = 2;
  unsigned loops = 1;  // of each node
  Backend backend = Backend::sql;
  bool shard_files = false;    // SqliteStore in a file on the node's disk, else in memory
  bool stores_let_go = false;  // ... which is closed some time after its group fell asleep
  bool archive_files = false;  // the coordinator's outcomes, too; else they are in memory alone
  unsigned clients = 4;
  unsigned accounts = 12;
  Micros chaos = 10 * second;  // how long clients and faults run

  // limits
  std::uint64_t wal_segment_bytes = 1ULL << 20U;
  std::uint64_t snapshot_every = 0;
  std::uint64_t election_ticks = 20;
  std::uint64_t heartbeat_ticks = 4;
  bool read_lease = false;
  Micros scrub_gap = 0;            // between two pieces that a node's scrubber reads; 0: it has none
  std::uint64_t scrub_bytes = 0;   // of a piece
  std::uint64_t sleep_ticks = 0;   // without anything to do, until a group sleeps; 0: never
  std::uint64_t let_go_ticks = 0;  // of sleep, until it lets go of what it can
  Micros stale_read_gap = 0;       // between two stale reads of somebody who only looks on; 0: there are none
  bool leaves = false;             // a replica that was removed from its group goes, with what it kept
  std::size_t append_bytes_max = 64ULL << 10U;
  std::size_t inflight_max = 64;
  std::size_t peer_queue_bytes_max = 1ULL << 20U;
  std::size_t client_requests_max = 1'000;
  std::size_t flush_steps_max = 16;
  std::size_t snapshot_step_bytes = 0;            // of a snapshot, made in one turn of the loop; 0: all at once
  std::uint64_t wal_segments_max = 0;             // closed ones; whoever keeps more takes a snapshot; 0: as in life
  std::size_t snapshot_chunk_bytes = 0;           // of a snapshot on its way to another node; 0: all at once
  std::size_t tail_entries_max = 4'096;           // kept in a log before its snapshot
  std::size_t committed_bytes_max = 1ULL << 20U;  // handed out at once
  std::size_t changes_per_commit = 512;           // of SQLite's transaction, in shard files
  int wal_pages_max = 4'000;                      // of SQLite's log, in shard files
  ArchivePace archive_pace;                       // of archive files
  std::size_t history_records_max = 1'000'000;
  double mischief = 0;    // the highest chance of a mischievous turn of the shell
  double lazy_flush = 0;  // of the events after which the loop waits for others before it flushes
  std::uint64_t prepare_timeout_ticks = 100;
  std::uint64_t retry_ticks = 20;
  std::uint64_t retention_millis = 600'000;
  std::uint64_t clock_skew_max_millis = 60'000;
  std::uint64_t history_millis = 24ULL * 3600 * 1000;
  std::uint64_t end_ticks = 100;
  std::uint64_t resolve_ticks = 100;
  std::uint64_t tidy_ticks = 1'000;
  bool drop_first_sends = false;  // every first message between groups is lost: repetition alone must carry the system

  // workload
  std::string workload = "bank";
  bool disjoint = false;  // every client has accounts of its own: nothing may conflict (A4)
  Micros think_mean = 20 * millisecond;
  Micros reply_timeout = 500 * millisecond;
  double local_share = 0.2;  // transfers inside one shard
  double read_share = 0.1;   // read-only transactions over all shards
  double query_share = 0.1;  // linearizable reads on one shard
  double bad_share = 0.05;   // overdrafts, reused ids, ids out of the window, statements that do not run
  double ddl_share = 0;
  bool escrow = false;           // of the bank: its adds leave keys and rows to others
  double snapshot_share = 0;     // of the reads of several shards: without locks
  double interactive_share = 0;  // of the transactions that the history shows: reads first, and must find them so
  double ask_share = 0.05;       // an outcome is asked for once more after it was told
  double seal_share = 0.3;       // of the asks
  double client_crash = 0;       // of the transactions
  double client_cancel = 0;      // of the calls
  Protocol protocol = Protocol::automatic;
  bool mixed_protocols = false;  // each transaction of several shards draws its own
  std::uint64_t requests_max = std::numeric_limits<std::uint64_t>::max();  // of all clients together

  NetworkFaults network;
  DiskFaults disk;
  LifeFaults life;
  ClockFaults clock;

  std::vector<ServiceSpec> services;  // none: no transaction names one
  ServiceFaults service_faults;
  std::uint64_t service_failures_max = 60;  // until one is failing
  std::uint64_t failing_ticks = 1'000;

  [[nodiscard]] bool members_change() const { return life.change_gap > 0 || disk.loss_gap > 0; }
  [[nodiscard]] bool faultless() const { return faults == "none"; }
  std::string faults;  // the kinds switched on, in words

  [[nodiscard]] std::string describe() const;
};

[[nodiscard]] Swarm draw_swarm(Rng rng, const Choices& choices = {});
[[nodiscard]] std::vector<std::string_view> fault_kind_names();

}  // namespace assent::sim
