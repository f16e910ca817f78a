#include "server/metrics.h"

#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <initializer_list>
#include <sstream>
#include <string_view>
#include <utility>

#include "server/version.h"

namespace assent {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;
using Labels = std::initializer_list<std::pair<std::string_view, std::string_view>>;

constexpr double micros_per_second = 1e6;

class Families {
 public:
  // Those that follow are of this one.
  void begin(std::string_view name, MetricType type, std::string_view help) {
    MetricFamily& family = families_.emplace_back();
    family.name = name;
    family.help = help;
    family.type = type;
  }
  void value(const Labels& labels, double value) {
    ClientMetric& metric = add(labels);
    (families_.back().type == MetricType::Counter ? metric.counter.value : metric.gauge.value) = value;
  }
  void value(const Labels& labels, std::uint64_t number) { value(labels, static_cast<double>(number)); }
  // unit: how many of the histogram's make one of the metric's.
  void histogram(const Labels& labels, const Histogram& histogram, double unit) {
    ClientMetric::Histogram& out = add(labels).histogram;
    out.sample_count = histogram.count();
    out.sample_sum = static_cast<double>(histogram.sum()) / unit;
    std::uint64_t below = 0;
    for (std::size_t i = 0; i < histogram.bounds().size(); ++i) {
      below += histogram.buckets()[i];
      out.bucket.push_back({below, static_cast<double>(histogram.bounds()[i]) / unit});
    }
  }
  [[nodiscard]] std::string text() const {
    std::ostringstream out;
    prometheus::TextSerializer().Serialize(out, families_);
    return out.str();
  }

 private:
  ClientMetric& add(const Labels& labels) {
    ClientMetric& metric = families_.back().metric.emplace_back();
    for (const auto& [name, value] : labels) metric.label.push_back({std::string(name), std::string(value)});
    return metric;
  }

  std::vector<MetricFamily> families_;
};

Protocol protocol_at(std::size_t place) { return static_cast<Protocol>(place); }

// Those that a transaction can run by; automatic is none.
template <class Each>
void for_protocols(const TxnFigures& txns, const Each& each) {
  for (std::size_t i = 1; i < protocols; ++i) each(to_string(protocol_at(i)), txns.by_protocol[i]);
}

void add_txns(const TxnFigures& txns, Families& out) {
  out.begin("assent_txn_started_total", MetricType::Counter, "Transactions begun at groups that this node leads");
  for_protocols(txns, [&](auto name, const ProtocolFigures& one) { out.value({{"protocol", name}}, one.started); });
  out.begin("assent_txn_finished_total", MetricType::Counter, "Transactions whose clients were answered");
  for_protocols(txns, [&](auto name, const ProtocolFigures& one) {
    out.value({{"protocol", name}, {"outcome", "committed"}}, one.committed.count());
    out.value({{"protocol", name}, {"outcome", "aborted"}}, one.aborted.count());
  });
  out.begin("assent_txn_commit_path_total", MetricType::Counter, "Commits by the way they took");
  for_protocols(txns, [&](auto name, const ProtocolFigures& one) {
    out.value({{"path", name}}, one.committed.count());
  });
  out.begin("assent_txn_aborted_total", MetricType::Counter, "Aborts told to clients, by reason");
  for (std::size_t i = 1; i < txns.aborted.size(); ++i) {
    out.value({{"reason", to_string(static_cast<AbortReason>(i))}}, txns.aborted[i]);
  }
  out.begin("assent_txn_duration_seconds", MetricType::Histogram, "From a request's arrival at the node to its answer");
  for_protocols(txns, [&](auto name, const ProtocolFigures& one) {
    out.histogram({{"protocol", name}, {"outcome", "committed"}}, one.committed, micros_per_second);
    out.histogram({{"protocol", name}, {"outcome", "aborted"}}, one.aborted, micros_per_second);
  });
  out.begin("assent_txn_phase_duration_seconds", MetricType::Histogram,
            "Phases; all but commit and abort add up to the duration");
  for_protocols(txns, [&](auto name, const ProtocolFigures& one) {
    for (std::size_t phase = 0; phase < txn_phases; ++phase) {
      out.histogram({{"protocol", name}, {"phase", to_string(static_cast<TxnPhase>(phase))}}, one.phases[phase],
                    micros_per_second);
    }
  });
  out.begin("assent_txn_participants", MetricType::Histogram, "Participants of a transaction");
  out.histogram({}, txns.participants, 1);
  out.begin("assent_txn_recovered_total", MetricType::Counter,
            "Transactions carried to their end by a leader that had not begun them");
  out.value({{"outcome", "committed"}}, txns.recovered_commits);
  out.value({{"outcome", "aborted"}}, txns.recovered_aborts);
  out.begin("assent_txn_heuristic_total", MetricType::Counter,
            "Ends forced by operators on a shard in doubt, and forgotten");
  out.value({{"action", "commit"}}, txns.forced_commits);
  out.value({{"action", "abort"}}, txns.forced_aborts);
  out.value({{"action", "forget"}}, txns.forced_forgotten);
  out.begin("assent_txn_outcome_unknown_total", MetricType::Counter, "Clients that could not be told the outcome");
  out.value({}, txns.outcome_unknown);
  out.begin("assent_participant_votes_total", MetricType::Counter, "Votes heard by coordinators");
  out.value({{"participant_kind", "shard"}, {"vote", "yes"}}, txns.votes_yes);
  out.value({{"participant_kind", "shard"}, {"vote", "no"}}, txns.votes_no);
  out.value({{"participant_kind", "service"}, {"vote", "yes"}}, txns.service_votes_yes);
  out.value({{"participant_kind", "service"}, {"vote", "no"}}, txns.service_votes_no);
  out.begin("assent_trace_records_dropped_total", MetricType::Counter,
            "Records of transactions not yet over that left the ring");
  out.value({}, txns.records_dropped);
  out.begin("assent_trace_steps_lost_total", MetricType::Counter, "Steps beyond what a record holds");
  out.value({}, txns.steps_lost);
}

void add_group_figures(const TxnFigures& txns, const ClusterView& cluster, Families& out) {
  const auto each = [&](const auto& visit) {
    for (const auto& [id, figures] : txns.groups) visit(cluster.groups.name(id), figures);
  };
  out.begin("assent_lock_wait_seconds", MetricType::Histogram, "Of work that had to wait for locks before it ran");
  each([&](const std::string& name, const GroupFigures& one) {
    out.histogram({{"group", name}}, one.lock_wait, micros_per_second);
  });
  out.begin("assent_raft_proposals_total", MetricType::Counter, "Commands proposed to the log by this node");
  each([&](const std::string& name, const GroupFigures& one) { out.value({{"group", name}}, one.proposals); });
  out.begin("assent_raft_proposals_failed_total", MetricType::Counter, "Commands that the log did not take");
  each([&](const std::string& name, const GroupFigures& one) { out.value({{"group", name}}, one.proposals_refused); });
  out.begin("assent_raft_proposal_duration_seconds", MetricType::Histogram, "From the append until it was applied");
  each([&](const std::string& name, const GroupFigures& one) {
    out.histogram({{"group", name}}, one.proposal, micros_per_second);
  });
}

template <class Value>
void gauge(const LoopFigures& loop, std::string_view name, std::string_view help, Families& out, const Value& value) {
  out.begin(name, MetricType::Gauge, help);
  for (const GroupStatus& group : loop.groups) out.value({{"group", group.config.name}}, std::uint64_t{value(group)});
}

void add_groups(const LoopFigures& loop, const ClusterView& cluster, Families& out) {
  gauge(loop, "assent_raft_is_leader", "1 where this node leads and is ready", out,
        [](const GroupStatus& group) { return group.log.leadership.self_ready ? 1U : 0U; });
  gauge(loop, "assent_raft_has_leader", "1 while this replica knows a leader", out,
        [](const GroupStatus& group) { return group.log.leadership.leader.none() ? 0U : 1U; });
  gauge(loop, "assent_raft_term", "The term of this replica", out,
        [](const GroupStatus& group) { return group.log.leadership.epoch.value; });
  gauge(loop, "assent_raft_commit_index", "The newest entry known to be committed", out,
        [](const GroupStatus& group) { return group.log.committed.value; });
  gauge(loop, "assent_raft_applied_index", "The newest entry applied", out,
        [](const GroupStatus& group) { return group.applied.value; });
  gauge(loop, "assent_raft_proposals_pending", "Entries appended and not yet known to be committed", out,
        [](const GroupStatus& group) {
          return group.log.last.value - std::min(group.log.last.value, group.log.committed.value);
        });
  gauge(loop, "assent_raft_log_bytes", "Of the entries in memory", out,
        [](const GroupStatus& group) { return group.log.log_bytes; });
  gauge(loop, "assent_group_halted", "1 when this program met what it does not know in the group's log", out,
        [](const GroupStatus& group) { return std::uint64_t{group.halted ? 1U : 0U}; });
  gauge(loop, "assent_group_entries_lost", "Entries of the log that were damaged here and are not replaced yet", out,
        [](const GroupStatus& group) {
          return group.lost ? group.lost->index.value - std::min(group.lost->index.value, group.log.last.value) : 0;
        });
  out.begin("assent_raft_follower_lag_entries", MetricType::Gauge, "By how much a follower is behind, at the leader");
  for (const GroupStatus& group : loop.groups) {
    if (!group.log.leadership.self_ready) continue;
    for (const PeerProgress& peer : group.log.peers) {
      out.value({{"group", group.config.name}, {"peer", cluster.node_name(peer.member.node)}},
                group.log.last.value - std::min(group.log.last.value, peer.match.value));
    }
  }
  out.begin("assent_raft_peer_up", MetricType::Gauge, "1 when the follower has answered lately, at the leader");
  for (const GroupStatus& group : loop.groups) {
    if (!group.log.leadership.self_ready) continue;
    for (const PeerProgress& peer : group.log.peers) {
      out.value({{"group", group.config.name}, {"peer", cluster.node_name(peer.member.node)}},
                std::uint64_t{peer.recently_active ? 1U : 0U});
    }
  }
  const auto count_of = [](const std::map<std::string, std::uint64_t>& counts, const std::string& name) {
    const auto found = counts.find(name);
    return found == counts.end() ? std::uint64_t{0} : found->second;
  };
  out.begin("assent_raft_leader_changes_total", MetricType::Counter, "Leaders that this replica has seen come");
  for (const GroupStatus& group : loop.groups) {
    out.value({{"group", group.config.name}}, count_of(loop.leader_changes, group.config.name));
  }
  out.begin("assent_raft_snapshot_total", MetricType::Counter, "Snapshots taken or installed");
  for (const GroupStatus& group : loop.groups) {
    out.value({{"group", group.config.name}}, count_of(loop.snapshots, group.config.name));
  }
}

void add_applications(const LoopFigures& loop, Families& out) {
  std::uint64_t active = 0;
  std::uint64_t prepared = 0;
  for (const GroupStatus& group : loop.groups) {
    active += group.application.active;
    prepared += group.log.leadership.self_ready ? group.application.prepared : 0;
  }
  out.begin("assent_txn_active", MetricType::Gauge,
            "What the leaders here have in hand: running, or prepared at a shard");
  out.value({{"state", "running"}}, active);
  out.value({{"state", "prepared"}}, prepared);
  const auto shards = [&](std::string_view name, std::string_view help, const auto& value, double unit) {
    out.begin(name, MetricType::Gauge, help);
    for (const GroupStatus& group : loop.groups) {
      if (group.config.role != GroupRole::shard) continue;
      out.value({{"group", group.config.name}}, static_cast<double>(value(group.application)) / unit);
    }
  };
  shards(
      "assent_txn_in_doubt", "Voted yes, and the outcome is not known here yet",
      [](const ApplicationStatus& status) { return status.prepared; }, 1);
  shards(
      "assent_txn_in_doubt_oldest_age_seconds", "Of the oldest of these, by the log's time",
      [](const ApplicationStatus& status) { return status.oldest_prepared_age_millis; }, 1'000);
  shards(
      "assent_txn_heuristics_listed", "With an end that an operator forced, and that is not forgotten yet",
      [](const ApplicationStatus& status) { return status.heuristics; }, 1);
  shards(
      "assent_locks_held", "Locks of prepared transactions",
      [](const ApplicationStatus& status) { return status.locks; }, 1);
}

void add_node(const MetricsInput& input, Families& out) {
  const LoopStatistics& loop = input.loop.statistics;
  out.begin("assent_wal_fsync_duration_seconds", MetricType::Histogram, "Write and sync of one batch of the log");
  out.histogram({}, input.loop.txns.wal_sync, micros_per_second);
  const auto counter = [&](std::string_view name, std::string_view help, std::uint64_t value) {
    out.begin(name, MetricType::Counter, help);
    out.value({}, value);
  };
  counter("assent_wal_written_bytes_total", "Bytes written to the log", loop.wal.bytes);
  counter("assent_wal_records_total", "Records written to the log", loop.wal.records);
  counter("assent_wal_syncs_total", "Syncs of the log", loop.wal.syncs);
  counter("assent_peer_frames_sent_total", "Frames sent to other nodes", loop.frames_sent);
  counter("assent_peer_frame_bytes_sent_total", "Bytes of these", loop.frame_bytes_sent);
  counter("assent_peer_frames_received_total", "Frames received", loop.frames_received);
  counter("assent_peer_messages_dropped_total", "Messages that could not be sent or were not for this node",
          loop.messages_dropped);
  const ScrubFigures& scrub = loop.scrub.figures;
  counter("assent_scrub_bytes_total", "Bytes of cold data read to find damage", scrub.bytes);
  counter("assent_scrub_passes_total", "Whole passes over the cold data", scrub.passes);
  counter("assent_scrub_damage_found_total", "Cold files found damaged", scrub.found);
  counter("assent_scrub_damage_repaired_total", "Of these: replaced, gone or whole again", scrub.repaired);
  counter("assent_scrub_wavered_total", "Files that were damaged when read once, and whole when read again",
          scrub.wavered);
  out.begin("assent_scrub_damaged_files", MetricType::Gauge, "Cold files that are damaged now");
  out.value({}, std::uint64_t{loop.scrub.damaged.size()});
  out.begin("assent_scrub_last_pass_timestamp_seconds", MetricType::Gauge,
            "When the last whole pass ended, since 1970; 0: none in this life");
  out.value({}, static_cast<double>(loop.scrub.last_pass_micros) / 1e6);
  out.begin("assent_storage_size_bytes", MetricType::Gauge, "Files in the data directory");
  for (const auto& [area, bytes] : input.storage_bytes) out.value({{"area", area}}, bytes);
}

void add_export(const MetricsInput& input, Families& out) {
  const ExportFigures& figures = input.exported;
  out.begin("assent_trace_export_txns_total", MetricType::Counter, "Transactions that were chosen for export");
  out.value({{"result", "queued"}}, figures.txns_queued);
  out.value({{"result", "dropped"}}, figures.txns_dropped + input.loop.txns.begun_not_listed);
  out.begin("assent_trace_export_spans_total", MetricType::Counter, "Their spans, by what became of them");
  out.value({{"result", "sent"}}, figures.spans_sent);
  out.value({{"result", "rejected"}}, figures.spans_rejected);
  out.value({{"result", "dropped"}}, figures.spans_dropped);
  out.begin("assent_trace_export_requests_total", MetricType::Counter, "Batches sent to the receiver");
  out.value({}, figures.requests);
  out.begin("assent_trace_export_retries_total", MetricType::Counter, "Batches that were sent again");
  out.value({}, figures.retries);
}

void add_calls(const CallFigures& calls, Families& out) {
  const auto each = [&](const auto& visit) {
    for (const ServedCalls& one : calls.served) {
      visit(one, Labels{{"grpc_type", "unary"}, {"grpc_service", one.service}, {"grpc_method", one.method}});
    }
  };
  out.begin("grpc_server_started_total", MetricType::Counter, "Calls that came to this node");
  each([&](const ServedCalls& one, const Labels& labels) { out.value(labels, one.started); });
  out.begin("grpc_server_handled_total", MetricType::Counter, "Calls that were answered");
  for (const ServedCalls& one : calls.served) {
    for (const auto& [code, count] : one.handled) {
      out.value({{"grpc_type", "unary"},
                 {"grpc_service", one.service},
                 {"grpc_method", one.method},
                 {"grpc_code", metric_name_of(code)}},
                count);
    }
  }
  out.begin("grpc_server_handling_seconds", MetricType::Histogram, "From a call's arrival to its answer");
  each([&](const ServedCalls& one, const Labels& labels) { out.histogram(labels, one.took, micros_per_second); });
  out.begin("assent_participant_rpc_duration_seconds", MetricType::Histogram,
            "Calls to services that take part, by gRPC and by HTTP");
  for (const auto& [key, histogram] : calls.participants) {
    out.histogram({{"method", key.first}, {"code", metric_name_of(key.second)}}, histogram, micros_per_second);
  }
}

void add_peers(const LoopFigures& loop, const ClusterView& cluster, Families& out) {
  out.begin("assent_peer_up", MetricType::Gauge, "1 while the other node answers this one's probes");
  for (const auto& [node, latency] : loop.latencies) {
    out.value({{"peer", cluster.node_name(node)}}, std::uint64_t{latency.up ? 1U : 0U});
  }
  out.begin("assent_peer_round_trip_seconds", MetricType::Gauge, "From this node's loop to the other one's and back");
  for (const auto& [node, latency] : loop.latencies) {
    if (latency.round_trip.count() == 0) continue;
    out.value({{"peer", cluster.node_name(node)}}, static_cast<double>(latency.round_trip.count()) / 1e6);
  }
}

void add_snapshots(const SnapshotTraffic& traffic, Families& out) {
  const auto counter = [&out](std::string_view name, std::string_view help, std::uint64_t value) {
    out.begin(name, MetricType::Counter, help);
    out.value({}, value);
  };
  counter("assent_snapshot_sent_bytes_total", "Of snapshots sent to other nodes, with what was sent again",
          traffic.bytes_sent);
  counter("assent_snapshot_spared_bytes_total", "Not sent again, for a broken stream had brought them",
          traffic.bytes_spared);
  counter("assent_snapshot_resumed_total", "Streams that went on where another had broken", traffic.resumed);
  counter("assent_snapshot_chunks_refused_total", "On their way in: damaged, or in the wrong place",
          traffic.chunks_refused);
  out.begin("assent_snapshot_sent_total", MetricType::Counter, "Snapshots sent to other nodes");
  out.value({{"result", "delivered"}}, traffic.delivered);
  out.value({{"result", "broken"}}, traffic.broken);
}

void add_trace_contexts(const LoopFigures& loop, Families& out) {
  out.begin("assent_trace_context_malformed_total", MetricType::Counter,
            "What callers or other nodes named as a trace and is none; left out");
  out.value({}, loop.txns.traces_malformed + loop.calls.traces_malformed);
}

void add_process(const ProcessFigures& process, Families& out) {
  out.begin("process_cpu_seconds_total", MetricType::Counter, "User and system time");
  out.value({}, process.cpu_seconds);
  const auto gauge_of = [&](std::string_view name, std::string_view help, double value) {
    out.begin(name, MetricType::Gauge, help);
    out.value({}, value);
  };
  gauge_of("process_resident_memory_bytes", "Resident memory", static_cast<double>(process.resident_bytes));
  gauge_of("assent_memory_in_use_bytes", "Handed out by the allocator",
           static_cast<double>(process.allocator.in_use_bytes));
  gauge_of("assent_memory_kept_bytes", "Freed, and kept resident by the allocator",
           static_cast<double>(process.allocator.kept_bytes));
  gauge_of("process_virtual_memory_bytes", "Virtual memory", static_cast<double>(process.virtual_bytes));
  gauge_of("process_open_fds", "Open file descriptors", static_cast<double>(process.open_fds));
  gauge_of("process_max_fds", "How many there may be", static_cast<double>(process.max_fds));
  gauge_of("process_threads", "Threads", static_cast<double>(process.threads));
  gauge_of("process_start_time_seconds", "When the process began, since 1970", process.start_time_seconds);
}

}  // namespace

std::string metrics_text(const MetricsInput& input, const ClusterView& cluster) {
  Families out;
  out.begin("assent_build_info", MetricType::Gauge, "What runs here");
  out.value({{"version", version}, {"node", cluster.self_node().name}, {"compiler", "gcc " __VERSION__}}, 1.0);
  add_txns(input.loop.txns, out);
  add_applications(input.loop, out);
  add_group_figures(input.loop.txns, cluster, out);
  add_groups(input.loop, cluster, out);
  add_peers(input.loop, cluster, out);
  add_snapshots(input.loop.traffic, out);
  add_node(input, out);
  add_export(input, out);
  add_calls(input.loop.calls, out);
  add_trace_contexts(input.loop, out);
  add_process(input.process, out);
  return out.text();
}

}  // namespace assent
