// Between the public API's protobuf messages (assent/v1/assent.proto) and the plain structs of txn_proto/types.h. The
// server reads requests and writes answers with it, the client library the other way round.
//
// Total: any message gives a value or an Error whose text begins with the field at fault
// ("branches[1].operations[0].add.key: is empty"). malformed for a bad field, not_found for a group that is not in the
// directory. Size limits are the server's (TxnLimits). No I/O; safe from any thread. from_api(to_api(x)) == x for every
// valid x.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "assent/v1/assent.pb.h"
#include "base/result.h"
#include "txn_proto/names.h"
#include "txn_proto/types.h"

namespace assent {

namespace api = ::assent::v1;

// Time-outs cross the API in milliseconds; inside, drivers count ticks of the loop.
inline constexpr std::uint64_t tick_millis = 10;
inline constexpr std::uint32_t timeout_millis_max = 3'600'000;
[[nodiscard]] constexpr std::uint64_t ticks_of_millis(std::uint64_t millis) {
  return (millis + tick_millis - 1) / tick_millis;
}
[[nodiscard]] constexpr std::uint64_t millis_of_ticks(std::uint64_t ticks) { return ticks * tick_millis; }

// ---- pieces ----
[[nodiscard]] api::Value to_api(const SqlValue& value);
[[nodiscard]] Result<SqlValue> from_api(const api::Value& value);
[[nodiscard]] api::Operation to_api(const Operation& operation);
[[nodiscard]] Result<Operation> from_api(const api::Operation& operation);
[[nodiscard]] api::OperationResult to_api(const OperationResult& result);
[[nodiscard]] Result<OperationResult> from_api(const api::OperationResult& result);
[[nodiscard]] api::Abort to_api(const Refusal& refusal, const GroupDirectory& groups);
[[nodiscard]] Refusal from_api(const api::Abort& abort);
[[nodiscard]] api::Protocol to_api(Protocol protocol);
[[nodiscard]] api::Mode to_api(Mode mode);
[[nodiscard]] api::TxnState to_api(TxnState state);
[[nodiscard]] api::Bill to_api(const Bill& bill);
[[nodiscard]] Bill from_api(const api::Bill& bill);

// The name of a participant: a group's, or that of one of the transaction's services; "service 2" when its address is
// not known. And the number of such a name.
[[nodiscard]] std::string name_of_participant(GroupId participant, const GroupDirectory& groups,
                                              const std::vector<ServiceAddress>& services);
[[nodiscard]] GroupId participant_named(const std::string& name, const std::vector<ServiceAddress>& services);
template <class Repeated>
void write_services(const std::vector<ServiceAddress>& services, Repeated& out) {
  for (const ServiceAddress& at : services) {
    api::Service& service = *out.Add();
    service.set_name(at.name);
    service.set_target(at.target);
    service.set_participant(at.participant);
  }
}
template <class Repeated>
[[nodiscard]] std::vector<ServiceAddress> read_services(const Repeated& from) {
  std::vector<ServiceAddress> services;
  services.reserve(static_cast<std::size_t>(from.size()));
  for (const api::Service& service : from)
    services.push_back({service.name(), service.target(), service.participant()});
  return services;
}

// ---- requests ----
// Branches come out ascending by shard, whatever their order; a shard named twice is malformed.
[[nodiscard]] Result<Execute> from_api(const api::ExecuteRequest& request, const GroupDirectory& groups);
[[nodiscard]] api::ExecuteRequest to_api(const Execute& execute, const GroupDirectory& groups);

// A request to one named group, or to the one that the id implies.
struct GetOutcomeCall {
  GetOutcome body;
  GroupId group;
};
[[nodiscard]] Result<GetOutcomeCall> from_api(const api::GetOutcomeRequest& request, const GroupDirectory& groups);
[[nodiscard]] api::GetOutcomeRequest to_api(const GetOutcome& body, std::string_view group);

struct OverrideCall {
  Override body;
  GroupId shard;
};
[[nodiscard]] Result<OverrideCall> from_api(const api::OverrideRequest& request, const GroupDirectory& groups);

struct ForgetCall {
  Forget body;
  GroupId shard;
};
[[nodiscard]] Result<ForgetCall> from_api(const api::ForgetRequest& request, const GroupDirectory& groups);

// To the coordinator group of the transaction.
struct CoordinatorCall {
  ClientBody body;
  TxnId txn;
  GroupId group;
};
[[nodiscard]] Result<CoordinatorCall> from_api(const api::RetryRequest& request, const GroupDirectory& groups);
[[nodiscard]] Result<CoordinatorCall> from_api(const api::OverrideServiceRequest& request,
                                               const GroupDirectory& groups);

// The greatest bound of a stale read.
inline constexpr std::uint64_t staleness_millis_max = 24ULL * 3600 * 1000;
struct QueryCall {
  Query body;
  GroupId shard;
};
[[nodiscard]] Result<QueryCall> from_api(const api::QueryRequest& request, const GroupDirectory& groups);
[[nodiscard]] api::QueryRequest to_api(const Query& body, std::string_view shard);

// ---- answers ----
[[nodiscard]] api::Transaction to_api(const TxnAnswer& answer, const GroupDirectory& groups,
                                      std::string_view answered_by);
// Group names become numbers by group_id(), known or not: a client needs no directory.
[[nodiscard]] Result<TxnAnswer> from_api(const api::Transaction& transaction);
[[nodiscard]] api::QueryResponse to_api(const QueryAnswer& answer);
[[nodiscard]] Result<QueryAnswer> from_api(const api::QueryResponse& response);

}  // namespace assent
