#include "txn_proto/api_codec.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "txn_proto/api_pieces.h"

namespace assent {

using namespace api_pieces;  // NOLINT(google-build-using-namespace): its pieces, apart for their length

namespace {

Result<std::vector<Branch>> read_branches(const api::ExecuteRequest& request, const GroupDirectory& groups) {
  const Place all{nullptr, "branches"};
  if (request.branches().empty() && request.services().empty()) {
    return bad(all, "is empty; a transaction needs at least one branch");
  }
  std::vector<Branch> branches;
  branches.reserve(static_cast<std::size_t>(request.branches_size()));
  for (int i = 0; i < request.branches_size(); ++i) {
    const Place place{nullptr, "branches", i};
    const Result<GroupId> shard = read_shard(request.branches(i).shard(), groups, Place{&place, "shard"});
    if (!shard) return fail(shard.error());
    const auto same = [&](const Branch& branch) { return branch.shard == *shard; };
    if (std::any_of(branches.begin(), branches.end(), same)) {
      return bad(Place{&place, "shard"}, fmt::format("{} has a branch already; put all of its operations into one",
                                                     request.branches(i).shard()));
    }
    Result<Work> work = read_work(request.branches(i).operations(), &place);
    if (!work) return fail(std::move(work.error()));
    branches.push_back(Branch{.shard = *shard, .work = std::move(*work)});
  }
  std::sort(branches.begin(), branches.end(), [](const Branch& a, const Branch& b) { return a.shard < b.shard; });
  return branches;
}

// What else is wrong with them, find_fault() says.
Result<void> read_service_branches(const api::ExecuteRequest& request, const GroupDirectory& groups,
                                   std::vector<Branch>& branches) {
  GroupId number = first_service;
  for (int i = 0; i < request.services_size(); ++i) {
    const api::ServiceBranch& service = request.services(i);
    const Place place{nullptr, "services", i};
    if (groups.find(service.name()) != nullptr) {
      return bad(Place{&place, "name"}, fmt::format("{} is the name of a group of this cluster", service.name()));
    }
    const Result<std::uint64_t> ticks = read_millis(service.timeout_millis(), Place{&place, "timeout_millis"});
    if (!ticks) return fail(ticks.error());
    branches.push_back(Branch{number,
                              {},
                              ServiceWork{{service.name(), service.target(), service.participant()},
                                          service.payload(),
                                          service.retriable(),
                                          {*ticks, service.max_calls()}}});
    number = number.next();
  }
  return {};
}

constexpr std::array abort_reasons{AbortReason::none,      AbortReason::conflict,   AbortReason::constraint,
                                   AbortReason::invalid,   AbortReason::timeout,    AbortReason::sealed,
                                   AbortReason::too_old,   AbortReason::superseded, AbortReason::reused_id,
                                   AbortReason::too_large, AbortReason::presumed,   AbortReason::refused};

std::optional<Error> find_reason_fault(const std::string& reason) {
  if (!reason.empty() && reason.size() <= override_reason_bytes_max) return std::nullopt;
  return bad(Place{nullptr, "reason"}, fmt::format("must have 1 to {} bytes", override_reason_bytes_max)).value();
}

Result<CoordinatorCall> to_coordinator(const TxnId& txn, ClientBody body, const GroupDirectory& groups) {
  const GroupId group = groups.coordinator_of(txn);
  if (group.none()) return bad(Place{nullptr, "txn_id"}, "this cluster has no coordinator group");
  return CoordinatorCall{.body = std::move(body), .txn = txn, .group = group};
}

// What an operator says of one transaction at one shard.
template <class Call, class Request>
Result<Call> read_operators_call(const Request& request, const GroupDirectory& groups) {
  const Result<TxnId> txn = read_txn(request.txn_id(), Place{nullptr, "txn_id"});
  const Result<GroupId> shard = read_shard(request.shard(), groups, Place{nullptr, "shard"});
  if (!txn || !shard) return fail(txn ? shard.error() : txn.error());
  if (auto fault = find_reason_fault(request.reason())) return fail(std::move(*fault));
  Call call{.body = {}, .shard = *shard};
  call.body.txn = *txn;
  call.body.reason = request.reason();
  if constexpr (requires { request.commit(); }) call.body.commit = request.commit();
  return call;
}

AbortReason read_reason(std::string_view text) {
  for (const AbortReason reason : abort_reasons) {
    if (to_string(reason) == text) return reason;
  }
  return AbortReason::none;  // a newer server's reason: the abort stands, its message says why
}

// Words of SQLite may quote a user's bytes; protobuf takes UTF-8 only.
std::string readable(const std::string& text) {
  if (is_utf8(text)) return text;
  std::string out = text;
  for (char& c : out) {
    if (static_cast<unsigned char>(c) >= 0x80U) c = '?';
  }
  return out;
}

// A number whose name this end does not know is shown as what it is.
std::string name_of(GroupId group, const GroupDirectory& groups) {
  if (const auto* found = groups.find(group); found != nullptr) return found->name;
  return name_of_number(group.value).value_or(groups.name(group));
}

}  // namespace

// ---- pieces ----

std::string name_of_participant(GroupId participant, const GroupDirectory& groups,
                                const std::vector<ServiceAddress>& services) {
  if (!is_service(participant)) return name_of(participant, groups);
  const std::uint64_t place = participant.value - first_service.value;
  return place < services.size() ? services[place].name : fmt::format("service {}", place + 1);
}

GroupId participant_named(const std::string& name, const std::vector<ServiceAddress>& services) {
  for (std::size_t i = 0; i < services.size(); ++i) {
    if (services[i].name == name) return GroupId(first_service.value + i);
  }
  return group_id(name);
}

api::Value to_api(const SqlValue& value) {
  api::Value out;
  Codec::encode(value, out);
  return out;
}

Result<SqlValue> from_api(const api::Value& value) { return read(value, Place{}); }

api::Operation to_api(const Operation& operation) {
  api::Operation out;
  Codec::encode(operation, out);
  return out;
}

Result<Operation> from_api(const api::Operation& operation) { return read(operation, Place{}); }

api::OperationResult to_api(const OperationResult& result) {
  api::OperationResult out;
  Codec::encode(result, out);
  return out;
}

Result<OperationResult> from_api(const api::OperationResult& result) { return read(result, Place{}); }

api::Abort to_api(const Refusal& refusal, const GroupDirectory& groups) {
  api::Abort out;
  if (refusal.reason != AbortReason::none) out.set_reason(std::string(to_string(refusal.reason)));
  if (!refusal.participant.none()) out.set_participant(name_of(refusal.participant, groups));
  out.set_message(readable(refusal.message));
  out.set_constraint(readable(refusal.constraint));
  if (!refusal.holder.none()) out.set_holder(refusal.holder.to_hex());
  return out;
}

Refusal from_api(const api::Abort& abort) {
  return Refusal{.reason = read_reason(abort.reason()),
                 .participant = group_id(abort.participant()),
                 .message = abort.message(),
                 .constraint = abort.constraint(),
                 .holder = TxnId::from_hex(abort.holder()).value_or(TxnId{})};
}

api::Protocol to_api(Protocol protocol) {
  switch (protocol) {
    case Protocol::automatic: return api::AUTO;
    case Protocol::one_phase: return api::ONE_PHASE;
    case Protocol::two_phase: return api::TWO_PHASE;
    case Protocol::paxos_commit: return api::PAXOS_COMMIT;
    case Protocol::three_phase: return api::THREE_PHASE;
  }
  return api::AUTO;
}

api::Mode to_api(Mode mode) {
  switch (mode) {
    case Mode::atomic: return api::ATOMIC;
    case Mode::tcc: return api::TCC;
    case Mode::saga: return api::SAGA;
    case Mode::concurrent_saga: return api::CONCURRENT_SAGA;
  }
  return api::ATOMIC;
}

api::TxnState to_api(TxnState state) {
  switch (state) {
    case TxnState::unknown: return api::UNKNOWN;
    case TxnState::running: return api::RUNNING;
    case TxnState::prepared: return api::PREPARED;
    case TxnState::committed: return api::COMMITTED;
    case TxnState::aborted: return api::ABORTED;
    case TxnState::expired: return api::EXPIRED;
  }
  return api::UNKNOWN;
}

// ---- requests ----

Result<Execute> from_api(const api::ExecuteRequest& request, const GroupDirectory& groups) {
  const Result<TxnId> txn = read_txn(request.txn_id(), Place{nullptr, "txn_id"});
  if (!txn) return fail(txn.error());
  Execute execute{.txn = *txn, .age = {}, .protocol = {}, .branches = {}, .timeout_ticks = 0};
  if (!request.first_txn_id().empty()) {
    const Result<TxnId> age = read_txn(request.first_txn_id(), Place{nullptr, "first_txn_id"});
    if (!age) return fail(age.error());
    execute.age = *age;
  }
  const Place protocol_place{nullptr, "protocol"};
  const Result<Protocol> protocol = read(request.protocol(), protocol_place);
  if (!protocol) return fail(protocol.error());
  execute.protocol = *protocol;
  const Result<Mode> mode = read(request.mode(), Place{nullptr, "mode"});
  if (!mode) return fail(mode.error());
  execute.mode = *mode;
  Result<std::vector<Branch>> branches = read_branches(request, groups);
  if (!branches) return fail(std::move(branches.error()));
  execute.branches = std::move(*branches);
  if (auto read = read_service_branches(request, groups, execute.branches); !read) return fail(std::move(read.error()));
  if (execute.protocol == Protocol::one_phase && execute.branches.size() > 1) {
    return bad(protocol_place, fmt::format("one-phase takes one shard, but {} are named", execute.branches.size()));
  }
  if (execute.protocol == Protocol::three_phase && execute.branches.size() < 2) {
    return bad(protocol_place, "three-phase takes two shards or more, but 1 is named");
  }
  const Result<std::uint64_t> ticks = read_millis(request.timeout_millis(), Place{nullptr, "timeout_millis"});
  if (!ticks) return fail(ticks.error());
  execute.timeout_ticks = *ticks;
  return execute;
}

api::ExecuteRequest to_api(const Execute& execute, const GroupDirectory& groups) {
  api::ExecuteRequest out;
  out.set_txn_id(execute.txn.to_hex());
  if (!execute.age.none()) out.set_first_txn_id(execute.age.to_hex());
  out.set_protocol(to_api(execute.protocol));
  out.set_mode(to_api(execute.mode));
  for (const Branch& branch : execute.branches) {
    if (branch.service) {
      api::ServiceBranch* service = out.add_services();
      service->set_name(branch.service->at.name);
      service->set_target(branch.service->at.target);
      service->set_participant(branch.service->at.participant);
      service->set_payload(branch.service->payload);
      service->set_retriable(branch.service->retriable);
      service->set_timeout_millis(static_cast<std::uint32_t>(
          std::min<std::uint64_t>(millis_of_ticks(branch.service->patience.ticks), timeout_millis_max)));
      service->set_max_calls(static_cast<std::uint32_t>(branch.service->patience.calls));
      continue;
    }
    api::Branch* out_branch = out.add_branches();
    out_branch->set_shard(name_of(branch.shard, groups));
    write_work(branch.work, *out_branch->mutable_operations());
  }
  out.set_timeout_millis(
      static_cast<std::uint32_t>(std::min<std::uint64_t>(millis_of_ticks(execute.timeout_ticks), timeout_millis_max)));
  return out;
}

Result<GetOutcomeCall> from_api(const api::GetOutcomeRequest& request, const GroupDirectory& groups) {
  const Result<TxnId> txn = read_txn(request.txn_id(), Place{nullptr, "txn_id"});
  if (!txn) return fail(txn.error());
  const Result<std::uint64_t> ticks = read_millis(request.wait_millis(), Place{nullptr, "wait_millis"});
  if (!ticks) return fail(ticks.error());
  GetOutcomeCall call{.body = {.txn = *txn, .seal = request.seal(), .wait_ticks = *ticks}, .group = {}};
  const Place place{nullptr, "group"};
  if (request.group().empty()) {
    call.group = groups.coordinator_of(*txn);
    if (call.group.none()) return bad(place, "this cluster has no coordinator group; name the shard to ask");
    return call;
  }
  const GroupDirectory::Group* group = groups.find(request.group());
  if (group == nullptr) {
    return bad(place,
               fmt::format("there is no group \"{:.63}\"; there are {}, {}", request.group(),
                           groups.list(GroupKind::coordinator), groups.list(GroupKind::shard)),
               ErrorCode::not_found);
  }
  call.group = group->id;
  return call;
}

api::GetOutcomeRequest to_api(const GetOutcome& body, std::string_view group) {
  api::GetOutcomeRequest out;
  out.set_txn_id(body.txn.to_hex());
  out.set_seal(body.seal);
  out.set_wait_millis(
      static_cast<std::uint32_t>(std::min<std::uint64_t>(millis_of_ticks(body.wait_ticks), timeout_millis_max)));
  out.set_group(std::string(group));
  return out;
}

Result<OverrideCall> from_api(const api::OverrideRequest& request, const GroupDirectory& groups) {
  return read_operators_call<OverrideCall>(request, groups);
}
Result<ForgetCall> from_api(const api::ForgetRequest& request, const GroupDirectory& groups) {
  return read_operators_call<ForgetCall>(request, groups);
}

Result<CoordinatorCall> from_api(const api::RetryRequest& request, const GroupDirectory& groups) {
  const Result<TxnId> txn = read_txn(request.txn_id(), Place{nullptr, "txn_id"});
  if (!txn) return fail(txn.error());
  return to_coordinator(*txn, Retry{*txn}, groups);
}

Result<CoordinatorCall> from_api(const api::OverrideServiceRequest& request, const GroupDirectory& groups) {
  const Result<TxnId> txn = read_txn(request.txn_id(), Place{nullptr, "txn_id"});
  if (!txn) return fail(txn.error());
  if (request.service().empty()) return bad(Place{nullptr, "service"}, "is empty");
  if (auto fault = find_reason_fault(request.reason())) return fail(std::move(*fault));
  return to_coordinator(*txn, OverrideService{*txn, request.service(), request.commit(), request.reason()}, groups);
}

Result<QueryCall> from_api(const api::QueryRequest& request, const GroupDirectory& groups) {
  const Result<GroupId> shard = read_shard(request.shard(), groups, Place{nullptr, "shard"});
  if (!shard) return fail(shard.error());
  Result<Work> work = read_work(request.operations(), nullptr);
  if (!work) return fail(std::move(work.error()));
  for (std::size_t i = 0; i < work->size() && !request.rehearse(); ++i) {
    const Operation& operation = (*work)[i];
    if (std::holds_alternative<SqlStatement>(operation) || std::holds_alternative<KvGet>(operation)) continue;
    return bad(Place{nullptr, "operations", static_cast<int>(i)}, "writes; a query takes sql and get only");
  }
  QueryCall call{.body = {std::move(*work)}, .shard = *shard};
  call.body.rehearse = request.rehearse();
  if (request.has_unchanged_since()) call.body.unchanged_since = Index(request.unchanged_since());
  if (!request.has_max_staleness_millis()) return call;
  const std::uint64_t staleness = request.max_staleness_millis();
  if (staleness == 0 || staleness > staleness_millis_max) {
    return bad(Place{nullptr, "max_staleness_millis"},
               fmt::format("is {}, not 1 to {}", staleness, staleness_millis_max));
  }
  if (request.rehearse() || request.has_unchanged_since()) {
    return bad(Place{nullptr, "max_staleness_millis"}, "a rehearsal and unchanged_since cannot be stale");
  }
  call.body.max_staleness_micros = staleness * 1'000;
  return call;
}

api::QueryRequest to_api(const Query& body, std::string_view shard) {
  api::QueryRequest out;
  out.set_shard(std::string(shard));
  write_work(body.work, *out.mutable_operations());
  out.set_rehearse(body.rehearse);
  if (body.unchanged_since) out.set_unchanged_since(body.unchanged_since->value);
  if (body.max_staleness_micros) out.set_max_staleness_millis(*body.max_staleness_micros / 1'000);
  return out;
}

// ---- answers ----

namespace {

api::Cost cost_to_api(const Cost& cost) {
  api::Cost out;
  out.set_rounds(cost.rounds);
  out.set_messages(cost.messages);
  out.set_log_entries(cost.entries);
  out.set_syncs(cost.syncs);
  return out;
}

Cost cost_from_api(const api::Cost& cost) {
  return {.rounds = cost.rounds(), .messages = cost.messages(), .entries = cost.log_entries(), .syncs = cost.syncs()};
}

}  // namespace

api::Bill to_api(const Bill& bill) {
  api::Bill out;
  *out.mutable_answered() = cost_to_api(bill.answered);
  if (bill.freed != Cost{}) *out.mutable_freed() = cost_to_api(bill.freed);
  out.set_locked_millis(bill.locked_millis);
  return out;
}

Bill from_api(const api::Bill& bill) {
  return {.answered = cost_from_api(bill.answered()),
          .freed = cost_from_api(bill.freed()),
          .locked_millis = bill.locked_millis()};
}

api::Transaction to_api(const TxnAnswer& answer, const GroupDirectory& groups, std::string_view answered_by) {
  api::Transaction out;
  out.set_txn_id(answer.txn.to_hex());
  out.set_state(to_api(answer.state));
  out.set_protocol(to_api(answer.protocol));
  out.set_mode(to_api(answer.mode));
  if (answer.refusal != Refusal{}) *out.mutable_abort() = to_api(answer.refusal, groups);
  if (is_service(answer.refusal.participant)) {
    out.mutable_abort()->set_participant(name_of_participant(answer.refusal.participant, groups, answer.services));
  }
  for (const BranchResult& branch : answer.results) {
    api::BranchResult* out_branch = out.add_results();
    out_branch->set_shard(name_of_participant(branch.shard, groups, answer.services));
    write_results(branch.result, *out_branch->mutable_results());
  }
  for (const GroupId participant : answer.participants) {
    out.add_participants(name_of_participant(participant, groups, answer.services));
  }
  write_services(answer.services, *out.mutable_services());
  out.set_decided_at_millis(static_cast<std::int64_t>(answer.decided_at.value));
  out.set_answered_by(std::string(answered_by));
  if (answer.attempt != Attempt{}) {
    out.mutable_attempt()->set_epoch(answer.attempt.epoch.value);
    out.mutable_attempt()->set_number(answer.attempt.number);
  }
  if (!answer.bill.empty()) *out.mutable_bill() = to_api(answer.bill);
  out.set_by_hand(answer.by_hand);
  return out;
}

Result<TxnAnswer> from_api(const api::Transaction& transaction) {
  const Result<TxnId> txn = read_txn(transaction.txn_id(), Place{nullptr, "txn_id"});
  if (!txn) return fail(txn.error());
  const Result<TxnState> state = read(transaction.state(), Place{nullptr, "state"});
  if (!state) return fail(state.error());
  const Result<Protocol> protocol = read(transaction.protocol(), Place{nullptr, "protocol"});
  if (!protocol) return fail(protocol.error());
  if (transaction.decided_at_millis() < 0) return bad(Place{nullptr, "decided_at_millis"}, "is negative");
  TxnAnswer answer;
  answer.services = read_services(transaction.services());
  answer.txn = *txn;
  answer.state = *state;
  answer.protocol = *protocol;
  const Result<Mode> mode = read(transaction.mode(), Place{nullptr, "mode"});
  if (!mode) return fail(mode.error());
  answer.mode = *mode;
  if (transaction.has_abort()) {
    answer.refusal = from_api(transaction.abort());
    answer.refusal.participant = participant_named(transaction.abort().participant(), answer.services);
  }
  for (int i = 0; i < transaction.results_size(); ++i) {
    const Place place{nullptr, "results", i};
    Result<WorkResult> results = read_results(transaction.results(i).results(), &place);
    if (!results) return fail(std::move(results.error()));
    answer.results.push_back(
        {.shard = participant_named(transaction.results(i).shard(), answer.services), .result = std::move(*results)});
  }
  for (const std::string& name : transaction.participants()) {
    answer.participants.push_back(participant_named(name, answer.services));
  }
  answer.decided_at = ClusterMillis(static_cast<std::uint64_t>(transaction.decided_at_millis()));
  answer.attempt = {Epoch(transaction.attempt().epoch()), transaction.attempt().number()};
  answer.bill = from_api(transaction.bill());
  answer.by_hand = transaction.by_hand();
  return answer;
}

api::QueryResponse to_api(const QueryAnswer& answer) {
  api::QueryResponse out;
  write_results(answer.result, *out.mutable_results());
  out.set_index(answer.at.value);
  out.mutable_digests()->Assign(answer.digests.begin(), answer.digests.end());
  out.set_changed(answer.changed);
  if (answer.age_micros_max) out.set_age_millis_max((*answer.age_micros_max + 999) / 1'000);
  return out;
}

Result<QueryAnswer> from_api(const api::QueryResponse& response) {
  Result<WorkResult> results = read_results(response.results(), nullptr);
  if (!results) return fail(std::move(results.error()));
  QueryAnswer answer{.result = std::move(*results),
                     .at = Index(response.index()),
                     .digests = {response.digests().begin(), response.digests().end()},
                     .changed = response.changed()};
  if (response.has_age_millis_max()) answer.age_micros_max = response.age_millis_max() * 1'000;
  return answer;
}

}  // namespace assent
