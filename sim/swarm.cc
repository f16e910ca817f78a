#include "sim/swarm.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>
#include <vector>

namespace assent::sim {
namespace {

template <class T, std::size_t N>
T pick(Rng& rng, const std::array<T, N>& choices) {
  return choices[rng.below(N)];
}

Micros span(Rng& rng, Micros low, Micros high) { return rng.between(low, high); }

struct FaultKind {
  std::string_view name;
  void (*draw)(Swarm&, Rng&);
};

const std::vector<FaultKind>& fault_kinds() {
  static const std::vector<FaultKind> kinds = {
      {"delay",
       [](Swarm& s, Rng& r) {
         s.network.delay_min = span(r, 0, 5 * millisecond);
         s.network.delay_mean = span(r, 1 * millisecond, 30 * millisecond);
       }},
      {"loss", [](Swarm& s, Rng& r) { s.network.loss = r.unit() * 0.3; }},
      {"duplicate", [](Swarm& s, Rng& r) { s.network.duplicate = r.unit() * 0.5; }},
      {"reorder", [](Swarm& s, Rng& r) { s.network.reorder = r.unit(); }},
      {"straggle", [](Swarm& s, Rng& r) { s.network.straggle = r.unit() * 0.05; }},
      {"stale", [](Swarm& s, Rng& r) { s.network.stale = r.unit() * 0.05; }},
      {"clog",
       [](Swarm& s, Rng& r) {
         s.network.clog = r.unit() * 0.005;
         s.network.clog_mean = span(r, 50 * millisecond, 2 * second);
       }},
      {"snapshot-loss", [](Swarm& s, Rng& r) { s.network.snapshot_loss = r.unit() * 0.7; }},
      {"client-loss", [](Swarm& s, Rng& r) { s.network.client_loss = r.unit() * 0.2; }},
      {"partition",
       [](Swarm& s, Rng& r) {
         s.life.partition_gap = span(r, 300 * millisecond, 3 * second);
         s.life.partition_mean = span(r, 200 * millisecond, 3 * second);
       }},
      {"crash",
       [](Swarm& s, Rng& r) {
         s.life.crash_gap = span(r, 300 * millisecond, 4 * second);
         s.life.restart_mean = span(r, 10 * millisecond, 2 * second);
       }},
      {"crash-all", [](Swarm& s, Rng& r) { s.life.crash_all_gap = span(r, 1 * second, 6 * second); }},
      {"pause",
       [](Swarm& s, Rng& r) {
         s.life.pause_gap = span(r, 300 * millisecond, 3 * second);
         s.life.pause_mean = span(r, 50 * millisecond, 2 * second);
       }},
      {"transfer", [](Swarm& s, Rng& r) { s.life.transfer_gap = span(r, 300 * millisecond, 2 * second); }},
      {"slow-disk",
       [](Swarm& s, Rng& r) {
         s.disk.latency_mean = span(r, 1 * millisecond, 20 * millisecond);
         s.disk.slow = r.unit() * 0.5;
       }},
      {"sync-error", [](Swarm& s, Rng& r) { s.disk.sync_error_gap = span(r, 1 * second, 5 * second); }},
      {"no-space", [](Swarm& s, Rng& r) { s.disk.no_space_gap = span(r, 1 * second, 5 * second); }},
      {"clock",
       [](Swarm& s, Rng& r) {
         s.clock.drift_max = r.chance(0.5) ? r.unit() * 0.05 : 0;
         s.clock.offset_max_millis = r.below(1'000);
         s.clock.step_gap = r.chance(0.6) ? span(r, 300 * millisecond, 3 * second) : 0;
         s.clock.step_max_millis = r.below(1'500);
       }},
      {"client-crash", [](Swarm& s, Rng& r) { s.client_crash = r.unit() * 0.1; }},
      {"cancel", [](Swarm& s, Rng& r) { s.client_cancel = r.unit() * 0.2; }},
      {"swizzle", [](Swarm& s, Rng& r) { s.life.swizzle_gap = span(r, 1 * second, 4 * second); }},
      {"read-error",
       [](Swarm& s, Rng& r) {
         s.disk.read_error = r.unit() * 0.5;
         if (s.life.crash_gap == 0) s.life.crash_gap = span(r, 500 * millisecond, 4 * second);
       }},
      {"rot",
       [](Swarm& s, Rng& r) {
         s.disk.rot = r.unit();
         if (s.life.crash_gap == 0) s.life.crash_gap = span(r, 300 * millisecond, 3 * second);
         if (r.chance(0.5)) s.disk.rot_gap = span(r, 200 * millisecond, 4 * second);
       }},
      {"mischief", [](Swarm& s, Rng& r) { s.mischief = r.unit() * 0.3; }},
      {"first-sends", [](Swarm& s, Rng&) { s.drop_first_sends = true; }},
      {"membership", [](Swarm& s, Rng& r) { s.life.change_gap = span(r, 100 * millisecond, 2 * second); }},
      {"lost-disk", [](Swarm& s, Rng& r) { s.disk.loss_gap = span(r, 500 * millisecond, 4 * second); }},
  };
  return kinds;
}

// Of services: drawn apart, and only where there are any, so that seeds without them stay what they are.
const std::vector<FaultKind>& service_fault_kinds() {
  static const std::vector<FaultKind> kinds = {
      {"service-crash",
       [](Swarm& s, Rng& r) {
         s.service_faults.crash = r.unit() * 0.02;
         s.service_faults.death_gap = span(r, 300 * millisecond, 3 * second);
         s.service_faults.absence_mean = span(r, 10 * millisecond, 1 * second);
       }},
      {"service-database", [](Swarm& s, Rng& r) { s.service_faults.database = r.unit() * 0.03; }},
      {"service-calls",
       [](Swarm& s, Rng& r) {
         s.service_faults.call_loss = r.unit() * 0.2;
         s.service_faults.reply_loss = r.unit() * 0.2;
         s.service_faults.duplicate = r.unit() * 0.3;
         s.service_faults.delay_mean = span(r, 0, 20 * millisecond);
         if (r.chance(0.5)) s.service_faults.hang = r.unit() * 0.03;
       }},
      {"service-trouble",
       [](Swarm& s, Rng& r) {
         s.service_faults.fail = r.unit() * 0.6;
         s.service_faults.later = r.unit() * 0.3;
       }},
  };
  return kinds;
}

// Of nodes that scrub: the same.
const std::vector<FaultKind>& scrub_fault_kinds() {
  static const std::vector<FaultKind> kinds = {
      {"cold-rot", [](Swarm& s, Rng& r) { s.disk.cold_gap = span(r, 200 * millisecond, 3 * second); }},
  };
  return kinds;
}

// The kinds after these are drawn by themselves, so that the seeds of before stay what they were.
constexpr std::size_t first_kinds = 25;

// Which kinds come, by the seed: none, one, or each with a probability that is itself drawn.
std::vector<bool> draw_kinds(Rng& rng) {
  std::vector<bool> on(first_kinds, false);
  const std::uint64_t style = rng.below(10);
  if (style == 1 || style == 2) on[rng.below(on.size())] = true;
  if (style >= 3) {
    const double density = rng.unit() * 0.7;
    for (std::size_t i = 0; i < on.size(); ++i) on[i] = rng.chance(density);
  }
  Rng later = rng.split("later kinds");
  const bool any = style > 0 && later.chance(0.3);
  while (on.size() < fault_kinds().size()) on.push_back(later.chance(0.6) && any);
  return on;
}

bool is_named(const Choices& choices, std::string_view kind) {
  return choices.faults && std::find(choices.faults->begin(), choices.faults->end(), kind) != choices.faults->end();
}

void draw_kind(Swarm& swarm, const FaultKind& kind, const Rng& parameters) {
  Rng own = parameters.split(kind.name);
  kind.draw(swarm, own);
  swarm.faults += (swarm.faults.empty() ? "" : ",") + std::string(kind.name);
}

// How often a kind comes is drawn apart from which others do: a run with fewer kinds keeps the rest as they were.
void draw_faults(Swarm& swarm, Rng rng, const Choices& choices) {
  const auto& kinds = fault_kinds();
  const Rng parameters = rng.split("parameters");
  const std::vector<bool> on = draw_kinds(rng);
  for (std::size_t i = 0; i < kinds.size(); ++i) {
    if (choices.faults ? is_named(choices, kinds[i].name) : on[i]) draw_kind(swarm, kinds[i], parameters);
  }
  Rng services = rng.split("services");
  const bool any = !swarm.services.empty() && services.chance(0.9);
  for (const FaultKind& kind : service_fault_kinds()) {
    const bool drawn = services.chance(0.6) && any;
    const bool chosen = is_named(choices, kind.name) && !swarm.services.empty();
    if (choices.faults ? chosen : drawn) draw_kind(swarm, kind, parameters);
  }
  Rng scrub = rng.split("scrub");
  for (const FaultKind& kind : scrub_fault_kinds()) {
    const bool drawn = scrub.chance(0.7);
    const bool on_now = choices.faults ? is_named(choices, kind.name) : drawn;
    if (on_now && swarm.scrub_gap > 0) draw_kind(swarm, kind, parameters);
  }
  if (swarm.faults.empty()) swarm.faults = "none";
}

void draw_shape(Swarm& swarm, Rng rng) {
  swarm.nodes = rng.chance(0.25) ? 5 : 3;
  swarm.shards = rng.chance(0.4) ? 3 : 2;
  const std::uint64_t backend = rng.below(10);
  swarm.backend = backend < 5 ? Backend::sql : backend < 7 ? Backend::sqlite_kv : Backend::memory_kv;
  swarm.clients = static_cast<unsigned>(rng.between(1, 6));
  swarm.accounts = swarm.shards * static_cast<unsigned>(rng.between(1, 8));
  swarm.chaos = span(rng, 4 * second, 12 * second);
}

// Each limit is small in half of the seeds, apart from the others.
void draw_limits(Swarm& swarm, Rng rng) {
  if (rng.chance(0.5)) swarm.wal_segment_bytes = pick<std::uint64_t, 4>(rng, {4096, 8192, 16384, 65536});
  if (rng.chance(0.6)) swarm.snapshot_every = pick<std::uint64_t, 5>(rng, {3, 7, 20, 50, 100});
  swarm.election_ticks = rng.between(10, 40);
  swarm.heartbeat_ticks = std::max<std::uint64_t>(1, swarm.election_ticks / rng.between(4, 10));
  if (rng.chance(0.3)) swarm.append_bytes_max = pick<std::size_t, 3>(rng, {256, 1024, 4096});
  if (rng.chance(0.3)) swarm.inflight_max = pick<std::size_t, 3>(rng, {1, 2, 8});
  if (rng.chance(0.2)) swarm.peer_queue_bytes_max = pick<std::size_t, 3>(rng, {16384, 65536, 262144});
  if (rng.chance(0.1)) swarm.client_requests_max = rng.between(1, 4);
  if (rng.chance(0.3)) swarm.flush_steps_max = rng.between(1, 3);
  if (rng.chance(0.6)) swarm.tail_entries_max = rng.chance(0.5) ? 0 : rng.below(20);
  if (rng.chance(0.2)) swarm.committed_bytes_max = pick<std::size_t, 3>(rng, {1, 500, 5000});
  if (rng.chance(0.3)) swarm.lazy_flush = rng.unit();
  Rng quick = rng.split("quick");
  if (quick.chance(0.4)) swarm.disk.quick = quick.chance(0.5) ? 1 : quick.unit();
  swarm.retry_ticks = rng.between(5, 50);
  swarm.prepare_timeout_ticks = rng.chance(0.4) ? rng.between(5, 60) : rng.between(60, 400);
  swarm.end_ticks = rng.chance(0.5) ? 100 : rng.between(1, 50);
  swarm.resolve_ticks = rng.split("resolve").between(5, 150);
  if (rng.chance(0.5)) swarm.tidy_ticks = rng.between(50, 300);
  if (rng.chance(0.3)) swarm.history_millis = rng.between(1'000, 20'000);
  if (rng.chance(0.3)) swarm.retention_millis = rng.between(5'000, 12'000);
}

void draw_workload(Swarm& swarm, Rng rng) {
  // About so many transactions in all: a few bursts, else spread over the whole time, so that windows pass by.
  const std::uint64_t operations = rng.between(60, 250);
  if (rng.chance(0.2)) swarm.chaos = span(rng, 1 * second, 3 * second);
  swarm.think_mean = swarm.chaos * swarm.clients / operations;
  swarm.reply_timeout = span(rng, 100 * millisecond, 2 * second);
  swarm.local_share = rng.chance(0.3) ? 0 : rng.unit() * 0.5;
  swarm.read_share = rng.chance(0.3) ? 0 : rng.unit() * 0.3;
  swarm.query_share = rng.chance(0.3) ? 0 : rng.unit() * 0.3;
  swarm.bad_share = rng.chance(0.3) ? 0 : rng.unit() * 0.15;
  swarm.ddl_share = swarm.backend == Backend::sql && rng.chance(0.3) ? rng.unit() * 0.03 : 0;
  swarm.ask_share = rng.chance(0.3) ? 0 : rng.unit() * 0.2;
  swarm.seal_share = rng.chance(0.3) ? 0 : rng.unit();
  if (rng.chance(0.15)) swarm.protocol = Protocol::two_phase;
  Rng recent = rng.split("escrow and snapshots");
  swarm.escrow = recent.chance(0.6);
  swarm.snapshot_share = recent.chance(0.3) ? 0 : recent.unit();
  swarm.interactive_share = recent.chance(0.4) ? 0 : recent.unit();
  const std::uint64_t protocols = rng.below(10);
  if (protocols < 3) swarm.protocol = Protocol::paxos_commit;
  swarm.mixed_protocols = protocols >= 6;
}

// Half of the shards in SQLite are files. Small limits make them commit and check-point often, large ones lose much.
void draw_files(Swarm& swarm, Rng rng) {
  swarm.shard_files = swarm.backend != Backend::memory_kv && rng.chance(0.5);
  swarm.changes_per_commit = pick<std::size_t, 5>(rng, {1, 2, 8, 64, 512});
  swarm.wal_pages_max = pick<int, 5>(rng, {1, 4, 16, 100, 4'000});
  swarm.archive_files = swarm.shard_files && rng.chance(0.5);
  swarm.archive_pace.chunk_records = pick<std::size_t, 4>(rng, {1, 3, 16, 256});
  swarm.archive_pace.write_records = pick<std::size_t, 4>(rng, {1, 5, 30, 1'024});
  swarm.archive_pace.write_entries = pick<std::size_t, 4>(rng, {1, 10, 50, 8'192});
  swarm.archive_pace.recent_records = pick<std::size_t, 4>(rng, {0, 2, 20, 32'768});
  if (rng.chance(0.3)) swarm.history_records_max = rng.below(50);
}

// Drawn by itself, so that the seeds of before stay what they were where groups do not sleep.
void draw_sleep(Swarm& swarm, Rng rng) {
  if (rng.chance(0.4)) swarm.sleep_ticks = rng.chance(0.5) ? rng.between(1, 10) : rng.between(10, 60);
}

// The label is one by which the seeds that are kept (tests/sim/seeds.txt) close nothing, and so stay what they were.
void draw_let_go(Swarm& swarm, Rng rng) {
  swarm.stores_let_go = swarm.sleep_ticks > 0 && swarm.shard_files && rng.chance(0.7);
  swarm.let_go_ticks = rng.chance(0.5) ? 0 : rng.between(1, 30);
}

// Each node spreads its groups over so many loops. The label is one by which the seeds that are kept have one.
void draw_loops(Swarm& swarm, Rng rng) {
  if (rng.chance(0.2)) swarm.loops = rng.chance(0.7) ? 2 : 3;
}

void draw_lease(Swarm& swarm, Rng rng) {
  swarm.read_lease = rng.chance(0.4);
  if (!swarm.read_lease) return;
  swarm.clock.lease_drift_max = pick<double, 4>(rng, {0, 0.001, 0.05, 0.3});
}

// Likewise.
void draw_snapshots(Swarm& swarm, Rng rng) {
  if (rng.chance(0.5)) swarm.snapshot_step_bytes = pick<std::size_t, 4>(rng, {1, 4'096, 20'000, 100'000});
  if (rng.chance(0.5)) swarm.snapshot_chunk_bytes = pick<std::size_t, 4>(rng, {300, 2'000, 8'192, 65'536});
  if (rng.chance(0.5)) swarm.wal_segments_max = rng.between(1, 12);
}

// Drawn by itself, and by a label by which the seeds that are kept (tests/sim/seeds.txt) have no scrubber, and so stay
// what they were.
void draw_scrub(Swarm& swarm, Rng rng, bool wanted) {
  if (!rng.chance(0.3) && !wanted) return;
  swarm.scrub_gap = span(rng, 2 * millisecond, 20 * millisecond);
  swarm.scrub_bytes = pick<std::uint64_t, 4>(rng, {16'384, 65'536, 262'144, 1'048'576});
}

// The label is one by which the seeds that are kept (tests/sim/seeds.txt) have none, and so stay what they were.
void draw_stale_reads(Swarm& swarm, Rng rng) {
  if (rng.split("look 1").chance(0.4)) swarm.stale_read_gap = span(rng, 5 * millisecond, 100 * millisecond);
}

// The label is one by which the seeds that are kept of the mixed workload (tests/sim/seeds.txt) have no services, and
// so stay what they were.
void draw_services(Swarm& swarm, Rng rng) {
  const bool mixed = swarm.workload == "mixed" && rng.split("mix 12").chance(0.4);
  if (swarm.workload != "services" && !mixed) return;
  const std::uint64_t count = rng.between(2, 4);
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::uint64_t kind = rng.below(4);
    ServiceSpec spec;
    spec.name = fmt::format("v{}", i + 1);
    spec.target = fmt::format("{}:7000", spec.name);
    spec.kind = i == 0 || kind < 2 ? ServiceKind::ledger : kind == 2 ? ServiceKind::postgres : ServiceKind::mariadb;
    spec.processes = rng.chance(0.4) ? 2 : 1;
    spec.clock_ahead_millis = rng.chance(0.5) ? 0 : rng.below(1'500);
    swarm.services.push_back(std::move(spec));
  }
  swarm.service_faults.refuse = rng.chance(0.3) ? 0 : rng.unit() * 0.2;
  if (rng.chance(0.6)) swarm.service_failures_max = rng.between(1, 10);
  swarm.failing_ticks = rng.between(20, 300);
}

// What the speed of the simulator is measured with: a coordinator and three shards of three replicas each, thirty
// simulated seconds, every limit at its usual value; faults are drawn.
void make_yardstick(Swarm& swarm) {
  swarm.shards = 3;
  swarm.backend = Backend::sql;
  swarm.accounts = 24;
  swarm.clients = 4;
  swarm.chaos = 30 * second;
  swarm.think_mean = 600 * millisecond;
  swarm.snapshot_every = 100;
  swarm.election_ticks = 100;  // the defaults of a node: docs/OPERATIONS.md
  swarm.heartbeat_ticks = 10;
}

// Without faults and conflicts everything must commit: such a seed keeps its limits at sane values.
void make_calm(Swarm& swarm, Rng rng) {
  swarm.disjoint = rng.chance(0.6);
  if (!swarm.disjoint) return;
  swarm.accounts = swarm.shards * swarm.clients * 2;
  swarm.prepare_timeout_ticks = 500;
  swarm.reply_timeout = 10 * second;
  swarm.client_requests_max = 1'000;
  swarm.retention_millis = 600'000;
  swarm.resolve_ticks = 20 * swarm.retry_ticks;  // who waits is told so before its patience ends
  swarm.read_share = swarm.bad_share = swarm.ddl_share = 0;
}

std::string words(const std::vector<ServiceSpec>& services) {
  constexpr std::array<std::string_view, 3> kinds = {"ledger", "postgres", "mariadb"};
  std::string text;
  for (const ServiceSpec& spec : services) {
    text += fmt::format("{}{}x{}", text.empty() ? " services=" : ",", kinds[static_cast<std::size_t>(spec.kind)],
                        spec.processes);
  }
  return text;
}

}  // namespace

std::vector<std::string_view> fault_kind_names() {
  std::vector<std::string_view> names;
  for (const FaultKind& kind : fault_kinds()) names.push_back(kind.name);
  for (const FaultKind& kind : service_fault_kinds()) names.push_back(kind.name);
  for (const FaultKind& kind : scrub_fault_kinds()) names.push_back(kind.name);
  return names;
}

Swarm draw_swarm(Rng rng, const Choices& choices) {
  Swarm swarm;
  swarm.workload = choices.workload;
  if (choices.yardstick) {
    make_yardstick(swarm);
  } else {
    draw_shape(swarm, rng.split("shape"));
    if (swarm.workload == "sql") swarm.backend = Backend::sql;
    if (choices.clients) swarm.clients = *choices.clients;
    if (!choices.plain_limits) draw_limits(swarm, rng.split("limits"));
    draw_workload(swarm, rng.split("workload"));
    draw_files(swarm, rng.split("files"));
    if (!choices.plain_raft) draw_sleep(swarm, rng.split("sleep"));
    draw_let_go(swarm, rng.split("let go 81"));
    if (!choices.plain_loops) draw_loops(swarm, rng.split("loops 12"));
    if (!choices.plain_raft) draw_lease(swarm, rng.split("lease"));
    if (!choices.plain_snapshots) draw_snapshots(swarm, rng.split("snapshots in steps"));
    if (!choices.plain_raft) draw_scrub(swarm, rng.split("scrub"), is_named(choices, "cold-rot"));
    if (!choices.plain_raft) draw_stale_reads(swarm, rng.split("stale reads"));
  }
  if (choices.chaos) swarm.chaos = *choices.chaos;
  if (choices.protocol) {
    swarm.protocol = *choices.protocol;
    swarm.mixed_protocols = false;
  }
  if (choices.requests) swarm.requests_max = *choices.requests;
  draw_services(swarm, rng.split("services"));
  draw_faults(swarm, rng.split("faults"), choices);
  if (choices.plain_disks) swarm.disk.rot = 0, swarm.disk.rot_gap = swarm.disk.cold_gap = 0;
  // Where no members change nobody leaves, and such a seed draws what it always drew.
  if (swarm.members_change() && !choices.plain_leaving) swarm.leaves = rng.split("leaving").chance(0.7);
  if (swarm.faultless() && !choices.yardstick) make_calm(swarm, rng.split("calm"));
  return swarm;
}

std::string Swarm::describe() const {
  constexpr std::array<std::string_view, 3> backends = {"sql", "sqlite-kv", "memory-kv"};
  return fmt::format(
      "workload={} nodes={}{} shards={} backend={}{} clients={} accounts={}{} chaos={}ms faults={}{} snapshot_every={} "
      "segment={} "
      "election={} inflight={} prepare_timeout={} retention={}ms{}{}{}{}{}{}{}{}",
      workload, nodes, loops > 1 ? fmt::format(" loops={}", loops) : "", shards,
      backends[static_cast<std::size_t>(backend)], shard_files ? archive_files ? " all-files" : " files" : "", clients,
      accounts, escrow ? " escrow" : "", chaos / millisecond, faults, disjoint ? " disjoint" : "", snapshot_every,
      wal_segment_bytes, election_ticks, inflight_max, prepare_timeout_ticks, retention_millis,
      fmt::format(
          "{}{}", leaves ? " leaves" : "",
          sleep_ticks > 0 ? fmt::format(" sleep={}{}", sleep_ticks, stores_let_go ? ", files closed" : "") : ""),
      read_lease ? fmt::format(" lease, drift={}", clock.lease_drift_max) : "",
      snapshot_step_bytes > 0 ? fmt::format(" snapshot_step={}", snapshot_step_bytes) : "",
      snapshot_chunk_bytes > 0 ? fmt::format(" snapshot_chunk={}", snapshot_chunk_bytes) : "",
      wal_segments_max > 0 ? fmt::format(" wal_max={}", wal_segments_max) : "",
      scrub_gap > 0 ? fmt::format(" scrub={}x{}us", scrub_bytes, scrub_gap) : "",
      stale_read_gap > 0 ? fmt::format(" stale={}ms", stale_read_gap / millisecond) : "", words(services));
}

}  // namespace assent::sim
