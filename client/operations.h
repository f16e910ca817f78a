// What a Client can do, each as a coroutine over a Courier: the rules of what is sent again, what is asked, and what is
// told. Internal to the client.
#pragma once

#include <functional>
#include <string>

#include "client/courier.h"
#include "client/explain.h"
#include "client/transaction.h"
#include "client/txn.h"

namespace assent::client {

// The transaction for a given id: called once for each attempt of run_with_retry.
using BuildTransaction = std::function<Transaction(const TxnId&)>;

// Error: certainly not begun.
[[nodiscard]] Task<Result<TxnOutcome>> execute(Courier& courier, Transaction transaction, SteadyTime deadline);
[[nodiscard]] Task<Result<TxnOutcome>> run_with_retry(Courier& courier, BuildTransaction build, RetryPolicy policy,
                                                      SteadyTime deadline);
// Error: nobody could be asked.
[[nodiscard]] Task<Result<TxnOutcome>> get_outcome(Courier& courier, OutcomeRequest request, SteadyTime deadline);
[[nodiscard]] Task<Result<QueryResult>> query(Courier& courier, std::string shard, Work work, SteadyTime deadline,
                                              std::optional<std::uint64_t> routed_by = {});
// Of any replica that can prove that what it holds is no older.
struct StaleQuery {
  std::string shard;
  Work work;
  std::chrono::milliseconds staleness_max{0};
  std::optional<std::uint64_t> routed_by;
};
[[nodiscard]] Task<Result<QueryResult>> query_stale(Courier& courier, StaleQuery asked, SteadyTime deadline);
// Runs work that may write and takes it back (client/txn.h).
[[nodiscard]] Task<Result<Rehearsal>> rehearse(Courier& courier, std::string shard, Work work, SteadyTime deadline);
// One instant of several shards.
[[nodiscard]] Task<Result<ReadResult>> read(Courier& courier, std::vector<Branch> branches, SteadyTime deadline);
// Whether what the work reads there has not changed since that index, and nobody is about to change it.
struct Validation {
  std::string shard;
  Work work;
  Index since;
  bool writes = false;  // the work: what it writes is taken back
};
[[nodiscard]] Task<Result<bool>> unchanged(Courier& courier, Validation validation, SteadyTime deadline);
[[nodiscard]] Task<Result<ClusterStatus>> cluster_status(Courier& courier, bool digests, SteadyTime deadline);
// Of one transaction, or (none) of all that are in doubt. Error: no node answers.
[[nodiscard]] Task<Result<TxnOutcome>> force(Courier& courier, ForceRequest asked, SteadyTime deadline);
[[nodiscard]] Task<Result<TxnOutcome>> retry(Courier& courier, TxnId txn, SteadyTime deadline);
[[nodiscard]] Task<Result<TxnOutcome>> end_service(Courier& courier, EndServiceRequest asked, SteadyTime deadline);
[[nodiscard]] Task<Result<TxnOutcome>> forget(Courier& courier, ForgetRequest asked, SteadyTime deadline);
[[nodiscard]] Task<Result<Sights>> ask_sights(Courier& courier, TxnId txn, SteadyTime deadline);
struct MembersChange {
  std::string group;
  std::vector<MemberChange> changes;
};
[[nodiscard]] Task<Result<Position>> change_members(Courier& courier, MembersChange change, SteadyTime deadline);
struct MapWish {
  std::uint64_t expected = 0;
  MapChange change;
};
// The epoch that the map has once the change is committed, unless another one comes before it.
[[nodiscard]] Task<Result<std::uint64_t>> change_map(Courier& courier, MapWish wish, SteadyTime deadline);
struct LeaderTransfer {
  std::string group;
  std::string to;  // a node's name; empty: whoever the leader chooses
};
[[nodiscard]] Task<Result<LeaderTransfer>> transfer_leader(Courier& courier, LeaderTransfer transfer,
                                                           SteadyTime deadline);

// An abort that a new attempt under a new id may escape.
[[nodiscard]] bool worth_a_new_attempt(AbortReason reason);

// ---- shared by the operations ----

// Calls that may be repeated freely: asks the group's leader until it answers or the deadline passes.
template <class Stub, class Request, class Response>
[[nodiscard]] Task<Result<Delivery<Response>>> ask_until_answered(Courier& courier, std::string group,
                                                                  Method<Stub, Request, Response> method,
                                                                  const Request& request, SteadyTime deadline,
                                                                  std::optional<std::uint64_t> routed_by = {});

// One question to one group's leader, repeated until it is answered; wait: how long the leader may hold the answer
// back.
[[nodiscard]] Task<Result<TxnOutcome>> ask_group(Courier& courier, OutcomeRequest request, SteadyTime deadline);

// The pace of one operation: how long the next attempt may take and the pause before it.
class Pace {
 public:
  Pace(Courier& courier, SteadyTime deadline);
  [[nodiscard]] SteadyTime attempt_deadline();  // grows with each call
  // Between attempts. Hints are followed at once, but not for ever: two nodes may point at each other.
  [[nodiscard]] std::chrono::microseconds pause(bool follow_now);
  [[nodiscard]] bool over() const;

 private:
  SteadyTime deadline_;
  std::chrono::milliseconds attempt_timeout_;
  Backoff backoff_;
  int followed_ = 0;
};

// What to say when the time is up: the last word of the leader that was asked, or that none was found.
[[nodiscard]] Error time_is_up(Courier& courier, const Target& target, const ServiceError& error);

template <class Stub, class Request, class Response>
Task<Result<Delivery<Response>>> ask_until_answered(Courier& courier, std::string group,
                                                    Method<Stub, Request, Response> method, const Request& request,
                                                    SteadyTime deadline, std::optional<std::uint64_t> routed_by) {
  Pace pace(courier, deadline);
  std::optional<Error> last;
  for (;;) {
    const SteadyTime attempt_deadline = pace.attempt_deadline();
    Result<Delivery<Response>> delivery =
        co_await courier.deliver(group, method, request, attempt_deadline, deadline, routed_by);
    if (!delivery) co_return tl::unexpected(last.value_or(delivery.error()));
    switch (delivery->error.verdict) {
      case Verdict::answered: co_return std::move(delivery);
      case Verdict::invalid:
      case Verdict::not_found:
      case Verdict::refused: co_return tl::unexpected(to_error(delivery->error));
      default: last = time_is_up(courier, delivery->target, delivery->error);
    }
    const std::chrono::microseconds pause = pace.pause(delivery->follow_now);
    co_await courier.runtime().sleep(pause);
    if (courier.runtime().closing()) co_return fail(ErrorCode::cancelled, "the client is shutting down");
    if (pace.over()) co_return tl::unexpected(*last);
  }
}

}  // namespace assent::client
