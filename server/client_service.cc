#include "server/client_service.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>

#include "cluster/map_epoch.h"
#include "observe/trace_context.h"
#include "txn_proto/api_codec.h"
#include "txn_proto/api_error.h"
#include "txn_proto/service_target.h"

namespace assent {

namespace {

using std::chrono::milliseconds;

// A caller's deadline, as far as it matters here.
constexpr auto patience_max = std::chrono::minutes(61);
// An answer must arrive before its caller stops listening.
constexpr auto answer_margin = milliseconds(60);

// How long the caller still listens; not positive when it no longer does.
milliseconds patience_of(const grpc::ServerContext& context) {
  const auto left = context.deadline() - std::chrono::system_clock::now();
  if (left > patience_max) return std::chrono::duration_cast<milliseconds>(patience_max);  // also when it named none
  return std::chrono::duration_cast<milliseconds>(left);
}

milliseconds usable(milliseconds patience) { return patience - std::min(answer_margin, patience / 4); }

// What a transaction gets whose caller names no time: it aborts by itself before the caller stops listening, so that
// most callers hear a definite answer. Who names a time may listen for less at once, and ask again.
std::uint64_t ticks_for(milliseconds patience, milliseconds configured) {
  const milliseconds most = std::min(usable(usable(patience)), configured);
  return ticks_of_millis(static_cast<std::uint64_t>(std::max(most, milliseconds(1)).count()));
}

grpc::Status status_of(const Error& error) {
  ApiError api{.code = error.code, .reason = {}, .message = error.message, .metadata = {}, .retry_after_millis = 0};
  if (error.code == ErrorCode::not_found) api.reason = "GROUP_NOT_FOUND";
  if (error.code == ErrorCode::busy) api.retry_after_millis = 50;
  if (error.code == ErrorCode::malformed) {
    if (const std::size_t colon = error.message.find(": "); colon != std::string::npos) {
      api.metadata[metadata_field] = error.message.substr(0, colon);
    }
  }
  return to_status(api);
}

grpc::Status deadline_passed() {
  return to_status({.code = ErrorCode::cancelled,
                    .reason = "DEADLINE_PASSED",
                    .message = "the deadline passed before the request was begun; nothing was done",
                    .metadata = {},
                    .retry_after_millis = 0},
                   grpc::StatusCode::DEADLINE_EXCEEDED);
}

// The last traceparent, should there be several; the state may come in several pieces. What is none is left out, and
// counted.
Bytes trace_of(const UnaryCall& call, CallFigures* figures) {
  const auto& metadata = call.context().client_metadata();
  std::string_view parent;
  const auto [from, to] = metadata.equal_range(traceparent_header);
  if (from == to) return {};
  for (auto one = from; one != to; ++one) parent = {one->second.data(), one->second.size()};
  std::string state;
  const auto [first, last] = metadata.equal_range(tracestate_header);
  for (auto one = first; one != last && state.size() <= tracestate_bytes_max; ++one) {
    if (!state.empty()) state += ',';
    state.append(one->second.data(), one->second.size());
  }
  const std::optional<TraceContext> caller = parse_trace(parent, state);
  if (caller) return to_bytes(*caller);
  if (figures != nullptr) ++figures->traces_malformed;
  return {};
}

void submit(const ClientGate& gate, const PendingCalls::Call& call, ClientBody body) {
  const GroupId group = call.group;
  UnaryCall& caller = *call.call;
  const Result<RequestId> id = gate.pending.add(call);
  if (!id) return caller.finish(status_of(id.error()));
  gate.inbox.push(ClientRequest{.id = *id, .group = group, .body = std::move(body)});
}

// An Execute on several shards that leaves the protocol open takes the configured one. On one shard it stays one-phase.
void choose_protocol(Execute& execute, Protocol configured) {
  if (!execute.branches.empty() && execute.branches.back().service) return;  // there is but one for services
  if (execute.protocol == Protocol::automatic && execute.branches.size() > 1) execute.protocol = configured;
}

// A service that is said to be where a node listens; null when there is none.
const ServiceAddress* own_service(const Execute& execute, const ClusterView& cluster, const std::string& own_http) {
  for (const Branch& branch : execute.branches) {
    if (!branch.service) continue;
    for (const auto& [id, node] : cluster.nodes) {
      const std::string target = endpoint_of(branch.service->at.target);
      if (target == node.client_endpoint || target == node.peer_endpoint) return &branch.service->at;
      if (id == cluster.self && !own_http.empty() && target == own_http) return &branch.service->at;
    }
  }
  return nullptr;
}

// The shard decides alone when it is the only one; else the coordinator group of T.
GroupId group_of(const Execute& execute, const GroupDirectory& groups) {
  return is_one_phase(execute) ? execute.branches.front().shard : groups.coordinator_of(execute.txn);
}

}  // namespace

namespace {

// A caller with an older map may have routed a key to a shard that does not have it any more, and one with a newer map
// may name a shard that this node has not heard of yet. Both are told which epoch this node goes by, before anything is
// begun: the first looks at the map again, the second asks again, here or elsewhere.
std::optional<grpc::Status> refuse_other_map(const ClusterView& cluster, const grpc::ServerContext& context,
                                             bool unknown_group) {
  const auto& headers = context.client_metadata();
  const auto found = headers.find(header_map_epoch);
  if (found == headers.end()) return std::nullopt;
  std::uint64_t theirs = 0;
  const char* const end = found->second.data() + found->second.size();
  const auto [read, trouble] = std::from_chars(found->second.data(), end, theirs);
  if (trouble != std::errc() || read != end) return std::nullopt;
  const MapVerdict verdict = judge_epoch(theirs, cluster.epoch, !unknown_group);
  if (verdict == MapVerdict::fits) return std::nullopt;
  const bool behind = verdict == MapVerdict::behind;
  return to_status({.code = ErrorCode::not_leader,
                    .reason = behind ? "MAP_BEHIND" : "STALE_MAP",
                    .message = fmt::format("node {} goes by epoch {} of the cluster's map, the caller by {}; {}",
                                           cluster.self_node().name, cluster.epoch, theirs,
                                           behind ? "ask again soon" : "get the newer one and ask again"),
                    .metadata = {{metadata_epoch, fmt::format("{}", cluster.epoch)}},
                    .retry_after_millis = 0});
}

template <class Asked>
std::optional<grpc::Status> refuse_other_map(const ClusterView& cluster, const grpc::ServerContext& context,
                                             const Result<Asked>& asked) {
  return refuse_other_map(cluster, context, !asked && asked.error().code == ErrorCode::not_found);
}

}  // namespace

void CoordinatorService::execute(TypedCall<v1::ExecuteRequest, v1::Transaction>& call) const {
  const milliseconds patience = patience_of(call.context());
  Result<assent::Execute> execute = from_api(call.request(), gate_.cluster.groups);
  if (execute) choose_protocol(*execute, gate_.txn_protocol);
  if (auto other_map = refuse_other_map(gate_.cluster, call.context(), execute)) {
    call.finish(*other_map);
  } else if (!execute) {
    call.finish(status_of(execute.error()));
  } else if (patience.count() <= 0) {
    call.finish(deadline_passed());
  } else if (const auto* own = own_service(*execute, gate_.cluster, gate_.http_endpoint)) {
    call.finish(status_of({ErrorCode::malformed,
                           fmt::format("services: {} has the target {}, which is a node of this cluster; a service is "
                                       "somebody else",
                                       own->name, own->target),
                           {}}));
  } else if (const GroupId group = group_of(*execute, gate_.cluster.groups); group.none()) {
    call.finish(status_of({ErrorCode::refused, "this cluster has no coordinator group, which two-phase needs", {}}));
  } else {
    if (execute->timeout_ticks == 0) execute->timeout_ticks = ticks_for(patience, gate_.txn_timeout);
    execute->trace = trace_of(call, gate_.figures);
    submit(gate_,
           {.call = &call,
            .response = &call.response(),
            .group = group,
            .txn = execute->txn,
            .may_commit = true,
            .answer_by = std::chrono::steady_clock::now() + usable(patience)},
           std::move(*execute));
  }
}

void CoordinatorService::get_outcome(TypedCall<v1::GetOutcomeRequest, v1::Transaction>& call) const {
  const milliseconds patience = patience_of(call.context());
  Result<GetOutcomeCall> asked = from_api(call.request(), gate_.cluster.groups);
  if (auto other_map = refuse_other_map(gate_.cluster, call.context(), asked)) {
    call.finish(*other_map);
  } else if (!asked) {
    call.finish(status_of(asked.error()));
  } else if (patience.count() <= 0) {
    call.finish(deadline_passed());
  } else {
    const auto usable_ticks = static_cast<std::uint64_t>(usable(usable(patience)).count()) / tick_millis;
    asked->body.wait_ticks = std::min(asked->body.wait_ticks, usable_ticks);
    submit(gate_,
           {.call = &call,
            .response = &call.response(),
            .group = asked->group,
            .txn = asked->body.txn,
            .may_commit = false,
            .answer_by = std::chrono::steady_clock::now() + usable(patience)},
           asked->body);
  }
}

namespace {

// What its group is asked as it came; where: which group that is, and of which transaction, if of one.
template <class Call, class Where>
void hand_on(const ClientGate& gate, Call& call, Where where) {
  const milliseconds patience = patience_of(call.context());
  auto asked = from_api(call.request(), gate.cluster.groups);
  if (auto other_map = refuse_other_map(gate.cluster, call.context(), asked)) {
    call.finish(*other_map);
  } else if (!asked) {
    call.finish(status_of(asked.error()));
  } else if (patience.count() <= 0) {
    call.finish(deadline_passed());
  } else {
    const auto [group, txn] = where(*asked);
    submit(gate,
           {.call = &call,
            .response = &call.response(),
            .group = group,
            .txn = txn,
            .may_commit = false,
            .answer_by = std::chrono::steady_clock::now() + usable(patience)},
           std::move(asked->body));
  }
}

}  // namespace

template <class Request>
void CoordinatorService::operate(TypedCall<Request, v1::Transaction>& call) const {
  hand_on(gate_, call, [](const CoordinatorCall& asked) { return std::pair(asked.group, asked.txn); });
}

void ShardService::query(TypedCall<v1::QueryRequest, v1::QueryResponse>& call) const {
  hand_on(gate_, call, [](const QueryCall& asked) { return std::pair(asked.shard, TxnId()); });
}

template <class Request>
void ShardService::decide(TypedCall<Request, v1::Transaction>& call) const {
  hand_on(gate_, call, [](const auto& asked) { return std::pair(asked.shard, asked.body.txn); });
}

void CoordinatorService::open(RpcQueue& queue) {
  using Service = v1::Coordinator::AsyncService;
  serve<Service, Service, v1::ExecuteRequest, v1::Transaction>(service_, &Service::RequestExecute, queue,
                                                               [this](auto& call) { execute(call); });
  serve<Service, Service, v1::GetOutcomeRequest, v1::Transaction>(service_, &Service::RequestGetOutcome, queue,
                                                                  [this](auto& call) { get_outcome(call); });
  serve<Service, Service, v1::RetryRequest, v1::Transaction>(service_, &Service::RequestRetry, queue,
                                                             [this](auto& call) { operate(call); });
  serve<Service, Service, v1::OverrideServiceRequest, v1::Transaction>(service_, &Service::RequestOverrideService,
                                                                       queue, [this](auto& call) { operate(call); });
}

void ShardService::open(RpcQueue& queue) {
  using Service = v1::Shard::AsyncService;
  serve<Service, Service, v1::QueryRequest, v1::QueryResponse>(service_, &Service::RequestQuery, queue,
                                                               [this](auto& call) { query(call); });
  serve<Service, Service, v1::OverrideRequest, v1::Transaction>(service_, &Service::RequestOverride, queue,
                                                                [this](auto& call) { decide(call); });
  serve<Service, Service, v1::ForgetRequest, v1::Transaction>(service_, &Service::RequestForget, queue,
                                                              [this](auto& call) { decide(call); });
}

}  // namespace assent
