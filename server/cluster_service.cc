#include "server/cluster_service.h"

#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <utility>

#include "base/protocol_level.h"
#include "cluster/map_messages.h"
#include "node/map_app.h"
#include "server/log.h"
#include "server/system_clock.h"
#include "server/version.h"
#include "txn_proto/api_error.h"
#include "txn_proto/sight_codec.h"

namespace assent {

namespace {

grpc::Status error_status(ErrorCode code, std::string message, std::string reason = {}) {
  return to_status({.code = code,
                    .reason = std::move(reason),
                    .message = std::move(message),
                    .metadata = {},
                    .retry_after_millis = 0});
}

// Ends a call whose task the loop may never run: the inbox drops tasks when the node stops.
class Answer {
 public:
  explicit Answer(UnaryCall& call) : call_(&call) {}
  ~Answer() {
    if (call_ != nullptr)
      finish(error_status(ErrorCode::not_leader, "this node is stopping; ask another one", "SHUTTING_DOWN"));
  }
  Answer(const Answer&) = delete;
  Answer& operator=(const Answer&) = delete;
  void finish(const grpc::Status& status) { std::exchange(call_, nullptr)->finish(status); }

 private:
  UnaryCall* call_;
};

std::uint64_t micros(const timeval& time) {
  return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000 + static_cast<std::uint64_t>(time.tv_usec);
}

std::uint64_t resident_bytes() {
  std::ifstream statm("/proc/self/statm");
  std::uint64_t total_pages = 0;
  std::uint64_t resident_pages = 0;
  statm >> total_pages >> resident_pages;
  return resident_pages * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
}

void write_counters(const LoopStatistics& statistics, v1::NodeCounters& out) {
  out.set_wal_syncs(statistics.wal.syncs);
  out.set_wal_bytes(statistics.wal.bytes);
  out.set_wal_records(statistics.wal.records);
  out.set_frames_sent(statistics.frames_sent);
  out.set_frame_bytes_sent(statistics.frame_bytes_sent);
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  out.set_cpu_micros(micros(usage.ru_utime) + micros(usage.ru_stime));
  out.set_resident_bytes(resident_bytes());
}

const char* role_of(const Membership& members, const Member& member) {
  const auto holds = [&member](const std::vector<Member>& list) {
    return std::binary_search(list.begin(), list.end(), member);
  };
  if (holds(members.learners)) return "learner";
  if (!members.joint()) return "voter";
  if (!holds(members.voters)) return "outgoing";
  return holds(members.outgoing) ? "voter" : "incoming";
}

void write_membership(const ClusterView& cluster, const GroupStatus& status, v1::Replica& out) {
  const LogStatus& log = status.log;
  out.set_membership_committed(log.members_since <= log.committed);
  for (const Member& member : log.members.all()) {
    v1::ReplicaMember& one = *out.add_membership();
    one.set_node(cluster.node_name(member.node));
    one.set_disk(member.incarnation);
    one.set_role(role_of(log.members, member));
    if (!log.leadership.self_leads) continue;
    if (member == Member(cluster.self, cluster.disk)) {
      one.set_match_index(log.last.value);
      one.set_active(true);
    }
    for (const PeerProgress& peer : log.peers) {
      if (peer.member != member) continue;
      one.set_match_index(peer.match.value);
      one.set_active(peer.recently_active);
    }
  }
}

void write_replica(const ClusterView& cluster, const GroupStatus& status, v1::Replica& out) {
  out.set_group(status.config.name);
  out.set_role(status.config.role == GroupRole::coordinator ? "coordinator"
               : status.config.role == GroupRole::map       ? "map"
                                                            : "shard");
  for (const NodeId node : status.log.members.voting_nodes()) out.add_members(cluster.node_name(node));
  write_membership(cluster, status, out);
  out.set_leader(cluster.node_name(status.log.leadership.leader));
  out.set_leads(status.log.leadership.self_ready);
  out.set_epoch(status.log.leadership.epoch.value);
  out.set_last_index(status.log.last.value);
  out.set_committed_index(status.log.committed.value);
  out.set_applied_index(status.applied.value);
  out.set_snapshot_index(status.log.snapshot.last.index.value);
  out.set_prepared(status.application.prepared);
  out.set_locks(status.application.locks);
  out.set_active(status.application.active);
  out.set_records(status.application.records);
  out.set_oldest_prepared_age_millis(status.application.oldest_prepared_age_millis);
  if (status.config.role == GroupRole::shard) {
    v1::Heuristics& heuristics = *out.mutable_heuristics();
    heuristics.set_listed(status.application.heuristics);
    heuristics.set_commits(status.application.heuristic_commits);
    heuristics.set_aborts(status.application.heuristic_aborts);
    heuristics.set_forgotten(status.application.heuristics_forgotten);
  }
  if (status.halted) out.set_halted(status.halted->message);
  out.set_level(status.level);
  if (status.lost) out.set_damaged(describe_lost(status));
  for (const PeerProgress& peer : status.log.peers) {
    if (peer.recently_active) out.add_active_peers(cluster.node_name(peer.member.node));
  }
}

}  // namespace

void write_status(const ClusterView& cluster, Loop& loop, const PeerLatencies& latencies, bool digests,
                  v1::StatusResponse& out) {
  out.set_node(cluster.self_node().name);
  out.set_version(std::string(version));
  out.set_disk(cluster.disk);
  for (const auto& [id, node] : cluster.nodes) {
    v1::Node& out_node = *out.add_nodes();
    out_node.set_name(node.name);
    out_node.set_client_endpoint(node.client_endpoint);
    out_node.set_peer_endpoint(node.peer_endpoint);
  }
  out.set_map_epoch(cluster.epoch);
  out.set_level(protocol_level());
  out.set_uses_level(cluster.uses_level);
  for (const GroupStatus& status : loop.status()) {
    const bool keeps_map = status.config.role == GroupRole::map;
    v1::Replica& replica = keeps_map ? *out.mutable_map_replica() : *out.add_replicas();
    write_replica(cluster, status, replica);
    if (!digests) continue;
    const Result<std::uint64_t> digest = loop.application_digest(status.config.id);
    if (digest) replica.set_digest(fmt::format("{:016x}", *digest));
  }
  const LoopStatistics statistics = loop.statistics();
  write_counters(statistics, *out.mutable_counters());
  for (const std::string& damaged : statistics.scrub.damaged) out.add_damaged_files(damaged);
  for (const auto& [node, latency] : latencies) {
    v1::PeerLatency& peer = *out.add_peers();
    peer.set_node(cluster.node_name(node));
    peer.set_up(latency.up);
    peer.set_round_trip_micros(static_cast<std::uint64_t>(latency.round_trip.count()));
    peer.set_age_millis(static_cast<std::uint64_t>(latency.age.count()));
  }
}

namespace {

// The group's own replica here; nullopt when this node carries none.
std::optional<GroupStatus> status_of(const Loop& loop, GroupId group) {
  for (GroupStatus& status : loop.status()) {
    if (status.config.id == group) return std::move(status);
  }
  return std::nullopt;
}

grpc::Status not_leader(const ClusterView& cluster, const std::string& group, NodeId leader_id) {
  ApiError error{.code = ErrorCode::not_leader,
                 .reason = {},
                 .message = {},
                 .metadata = {{metadata_group, group}},
                 .retry_after_millis = 0};
  const ClusterView::Node* leader = leader_id == cluster.self ? nullptr : cluster.find(leader_id);
  error.message = fmt::format("node {} does not lead group {}; {}", cluster.self_node().name, group,
                              leader == nullptr ? "it knows of no leader now" : leader->name + " does");
  if (leader != nullptr) {
    error.metadata[metadata_leader] = leader->name;
    if (!leader->client_endpoint.empty()) error.metadata[metadata_endpoint] = leader->client_endpoint;
  }
  return to_status(error);
}

constexpr std::uint32_t sights_max = 1'000;

// Of any group, the one that keeps the map too; none when there is none of the name.
GroupId any_group(const ClusterView& cluster, const std::string& name) {
  if (name == map_group_name) return group_id(name);
  const GroupDirectory::Group* group = cluster.groups.find(name);
  return group == nullptr ? GroupId() : group->id;
}

grpc::Status unknown_group(const ClusterView& cluster, const std::string& name) {
  return error_status(ErrorCode::not_found,
                      fmt::format("group: there is no group \"{:.63}\"; there are {}, {}", name,
                                  cluster.groups.list(GroupKind::coordinator), cluster.groups.list(GroupKind::shard)),
                      "GROUP_NOT_FOUND");
}

grpc::Status explain_in(const ClusterView& cluster, const Loop& loop, GroupId group, const SightQuestion& question,
                        v1::ExplainResponse& out) {
  const std::optional<GroupStatus> status = status_of(loop, group);
  const std::string name = cluster.groups.name(group);
  if (!status) return not_leader(cluster, name, {});
  if (!status->log.leadership.self_ready) return not_leader(cluster, name, status->log.leadership.leader);
  out.set_group(name);
  for (const Sight& sight : loop.sights(group, question)) {
    *out.add_sights() = to_api(sight, cluster.groups);
  }
  return grpc::Status::OK;
}

grpc::Status transfer(const ClusterView& cluster, Loop& loop, GroupId group, NodeId to) {
  const std::optional<GroupStatus> status = status_of(loop, group);
  const std::string name = cluster.groups.name(group);
  if (!status) return not_leader(cluster, name, {});
  if (!status->log.leadership.self_ready) return not_leader(cluster, name, status->log.leadership.leader);
  if (status->log.members.voter_on(to).none()) {
    return error_status(ErrorCode::refused,
                        fmt::format("to: node {} does not vote in group {}", cluster.node_name(to), name));
  }
  loop.handle(TransferLeadership{.group = group, .to = to});
  return grpc::Status::OK;
}

Result<std::vector<MemberChange>> read_changes(const ClusterView& cluster, const v1::ChangeMembersRequest& request) {
  using Kind = MemberChange::Kind;
  static const std::map<std::string, Kind, std::less<>> kinds{
      {"learner", Kind::learner}, {"voter", Kind::voter}, {"remove", Kind::remove}};
  std::vector<MemberChange> changes;
  for (const v1::MemberChange& change : request.changes()) {
    const auto kind = kinds.find(change.action());
    if (kind == kinds.end()) {
      return fail(
          ErrorCode::malformed,
          fmt::format("changes: there is no action \"{:.63}\"; there are learner, voter, remove", change.action()));
    }
    const NodeId node = node_id(change.node());
    const bool leaves = kind->second == Kind::remove;  // as one may that is no node of the cluster any more
    if (!leaves && (cluster.find(node) == nullptr || cluster.node_name(node) != change.node())) {
      return fail(ErrorCode::malformed, fmt::format("changes: there is no node \"{:.63}\"", change.node()));
    }
    changes.push_back({kind->second, Member(node, change.disk())});
  }
  if (changes.empty()) return fail(ErrorCode::malformed, "changes: none are named");
  return changes;
}

// What a log says of members, in the names that people gave their nodes.
std::string named(const ClusterView& cluster, const GroupStatus& status) {
  std::vector<std::string> names;
  for (const Member& member : status.log.members.all()) {
    names.push_back(fmt::format("{} ({})", cluster.node_name(member.node), role_of(status.log.members, member)));
  }
  return fmt::format("{}", fmt::join(names, ", "));
}

grpc::Status change_members(const ClusterView& cluster, Loop& loop, GroupId group,
                            const std::vector<MemberChange>& changes, v1::ChangeMembersResponse& out) {
  const std::optional<GroupStatus> status = status_of(loop, group);
  const std::string name = cluster.groups.name(group);
  if (!status) return not_leader(cluster, name, {});
  if (!status->log.leadership.self_ready) return not_leader(cluster, name, status->log.leadership.leader);
  const auto position = loop.change_membership(group, changes);
  if (!position) {
    return error_status(position.error().code, fmt::format("group {}: {}; its members are {}", name,
                                                           position.error().message, named(cluster, *status)));
  }
  out.set_epoch(position->epoch.value);
  out.set_index(position->index.value);
  LogEvent event(LogLevel::info, "membership", "the members of a group change");
  event.field("group", name).field("index", position->index.value);
  if (const auto after = status_of(loop, group)) event.field("members", named(cluster, *after));
  event.write();
  return grpc::Status::OK;
}

// Judged here, so that who asks hears why not, and again when it is applied: what came in between may forbid it.
grpc::Status change_map(const ClusterView& cluster, Loop& loop, std::uint64_t expected, const MapChange& change,
                        v1::ChangeMapResponse& out) {
  const GroupId group = group_id(map_group_name);
  const std::optional<GroupStatus> status = status_of(loop, group);
  const std::string name(map_group_name);
  if (!status) return not_leader(cluster, name, {});
  if (!status->log.leadership.self_ready) return not_leader(cluster, name, status->log.leadership.leader);
  const auto* kept = dynamic_cast<const MapApp*>(loop.application(group));
  if (kept == nullptr) return error_status(ErrorCode::unsupported, "this node keeps no cluster map");
  const bool in_log = kept->map().epoch != 0;
  const ClusterMap& now = in_log ? kept->map() : cluster.map;
  if (expected != now.epoch) {
    return to_status(
        {.code = ErrorCode::refused,
         .reason = "MAP_CHANGED",
         .message = fmt::format("the cluster's map is of epoch {} and not {}; look at it, and ask again if "
                                "the change is still wanted",
                                now.epoch, expected),
         .metadata = {{metadata_epoch, fmt::format("{}", now.epoch)}},
         .retry_after_millis = 0});
  }
  const auto next = changed(now, change);
  if (!next) return error_status(next.error().code, next.error().message);
  MapCommand command{.expected = kept->map().epoch, .base = in_log ? ClusterMap() : now, .change = change};
  Bytes bytes = encode(command);
  if (!decode_map_command(bytes)) {  // what no replica could apply must not get into the log
    return error_status(ErrorCode::malformed, "change: it cannot be written down");
  }
  if (auto position = loop.propose(group, std::move(bytes)); !position) {
    return error_status(position.error().code, fmt::format("group {}: {}", name, position.error().message));
  }
  out.set_epoch(next->epoch);
  return grpc::Status::OK;
}

}  // namespace

void ClusterService::status(TypedCall<v1::StatusRequest, v1::StatusResponse>& call) const {
  const auto answer = std::make_shared<Answer>(call);
  static_cast<void>(inbox_.post([this, answer, &call](Loop& loop) {
    write_status(cluster_, loop, latencies_, call.request().digests(), call.response());
    answer->finish(grpc::Status::OK);
  }));
}

void ClusterService::explain(TypedCall<v1::ExplainRequest, v1::ExplainResponse>& call) const {
  const v1::ExplainRequest& request = call.request();
  const GroupDirectory::Group* group = cluster_.groups.find(request.group());
  if (group == nullptr) return call.finish(unknown_group(cluster_, request.group()));
  SightQuestion question;
  question.most = request.most() == 0 ? sights_max : std::min(request.most(), sights_max);
  question.now = SystemClock().wall();
  if (!request.txn_id().empty()) {
    const std::optional<TxnId> txn = TxnId::from_hex(request.txn_id());
    if (!txn) {
      return call.finish(error_status(ErrorCode::malformed, "txn_id: is not a transaction id (32 hex digits)"));
    }
    question.txn = *txn;
  }
  const auto answer = std::make_shared<Answer>(call);
  static_cast<void>(inbox_.post([this, answer, question, id = group->id, &call](const Loop& loop) {
    answer->finish(explain_in(cluster_, loop, id, question, call.response()));
  }));
}

void ClusterService::transfer_leader(TypedCall<v1::TransferLeaderRequest, v1::TransferLeaderResponse>& call) const {
  const v1::TransferLeaderRequest& request = call.request();
  const GroupId group = any_group(cluster_, request.group());
  if (group.none()) return call.finish(unknown_group(cluster_, request.group()));
  const NodeId to = node_id(request.to());
  if (cluster_.find(to) == nullptr || cluster_.node_name(to) != request.to()) {
    return call.finish(
        error_status(ErrorCode::malformed, fmt::format("to: there is no node \"{:.63}\"", request.to())));
  }
  const auto answer = std::make_shared<Answer>(call);
  static_cast<void>(
      inbox_.post([this, answer, group, to](Loop& loop) { answer->finish(transfer(cluster_, loop, group, to)); }));
}

void ClusterService::change_members(TypedCall<v1::ChangeMembersRequest, v1::ChangeMembersResponse>& call) const {
  const v1::ChangeMembersRequest& request = call.request();
  const GroupId group = any_group(cluster_, request.group());
  if (group.none()) return call.finish(unknown_group(cluster_, request.group()));
  auto changes = read_changes(cluster_, request);
  if (!changes) return call.finish(error_status(changes.error().code, changes.error().message));
  const auto answer = std::make_shared<Answer>(call);
  static_cast<void>(inbox_.post([this, answer, group, changes = std::move(*changes), &call](Loop& loop) {
    answer->finish(assent::change_members(cluster_, loop, group, changes, call.response()));
  }));
}

void ClusterService::get_map(TypedCall<v1::GetMapRequest, v1::GetMapResponse>& call) const {
  call.response().set_cluster(cluster_.cluster);
  call.response().set_generation(cluster_.generation);
  write_map(cluster_.map, call.response());
  call.finish(grpc::Status::OK);
}

void ClusterService::change_map(TypedCall<v1::ChangeMapRequest, v1::ChangeMapResponse>& call) const {
  auto change = read_change(call.request());
  if (!change) return call.finish(error_status(change.error().code, change.error().message));
  const auto answer = std::make_shared<Answer>(call);
  static_cast<void>(inbox_.post([this, answer, change = std::move(*change), &call](Loop& loop) {
    answer->finish(assent::change_map(cluster_, loop, call.request().expected_epoch(), change, call.response()));
  }));
}

void ClusterService::open(RpcQueue& queue) {
  using Service = v1::Cluster::AsyncService;
  serve<Service, Service, v1::StatusRequest, v1::StatusResponse>(service_, &Service::RequestStatus, queue,
                                                                 [this](auto& call) { status(call); });
  serve<Service, Service, v1::ExplainRequest, v1::ExplainResponse>(service_, &Service::RequestExplain, queue,
                                                                   [this](auto& call) { explain(call); });
  serve<Service, Service, v1::TransferLeaderRequest, v1::TransferLeaderResponse>(
      service_, &Service::RequestTransferLeader, queue, [this](auto& call) { transfer_leader(call); });
  serve<Service, Service, v1::ChangeMembersRequest, v1::ChangeMembersResponse>(
      service_, &Service::RequestChangeMembers, queue, [this](auto& call) { change_members(call); });
  serve<Service, Service, v1::GetMapRequest, v1::GetMapResponse>(service_, &Service::RequestGetMap, queue,
                                                                 [this](auto& call) { get_map(call); });
  serve<Service, Service, v1::ChangeMapRequest, v1::ChangeMapResponse>(service_, &Service::RequestChangeMap, queue,
                                                                       [this](auto& call) { change_map(call); });
}

}  // namespace assent
