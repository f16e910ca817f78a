// A client of an Assent cluster.
//
//   auto client = Client::connect({.endpoints = {"127.0.0.1:7420"}});
//   Transaction transfer;
//   transfer.on("s1", sql("UPDATE accounts SET balance = balance - ?1 WHERE id = ?2", 50, "alice"))
//       .on("s2", sql("UPDATE accounts SET balance = balance + ?1 WHERE id = ?2", 50, "bob"));
//   Result<TxnOutcome> outcome = client->execute(transfer);
//   if (!outcome)                  // nobody could be asked: certainly not begun; outcome.error().text() says why
//   else if (outcome->committed())  // for ever
//   else if (outcome->aborted())    // for ever: outcome->abort says why and by whom
//   else                            // unknown: ask get_outcome({.id = outcome->id, .seal = true, .group =
//   outcome->ask})
//
// What it does by itself: finds the nodes, the groups and their leaders; follows leaders as they change; sends again
// what is safe to send again, which a transaction with an id always is; asks after an answer was lost. What it never
// does: guess an outcome, or run the work twice.
//
// Results are values; nothing here throws. Every function may be called from any thread. The ..._async forms call back
// on the client's one thread: a callback must not block, and must not call the forms that wait (that would wait for
// itself, and ends the process with a message). Callbacks may start further calls. Destroying the Client cancels what
// is under way (its callbacks still come, with ErrorCode::cancelled or an outcome that is not definite) and waits for
// it.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "client/cluster.h"
#include "client/error.h"
#include "client/explain.h"
#include "client/map.h"
#include "client/options.h"
#include "client/transaction.h"
#include "client/txn.h"

namespace assent::client {

class Courier;

class Client {
 public:
  // How long a call may last; nothing: Options::timeout.
  using Timeout = std::optional<std::chrono::milliseconds>;
  template <class T>
  using Callback = std::function<void(Result<T>)>;
  // Makes the transaction for a given id, which may stand in its statements.
  using Build = std::function<Transaction(const TxnId&)>;

  // Judges the options and makes no call: a cluster that is away is found out, with what each endpoint says, by the
  // first call that needs it.
  [[nodiscard]] static Result<Client> connect(Options options);
  Client(Client&&) noexcept;
  Client& operator=(Client&&) noexcept;
  ~Client();

  // Runs the transaction. An Error means that it was certainly not begun.
  [[nodiscard]] Result<TxnOutcome> execute(Transaction transaction, Timeout timeout = {});
  void execute_async(Transaction transaction, Callback<TxnOutcome> done, Timeout timeout = {});

  // Runs it under a new id each time it aborts for a reason that a new attempt may escape (a conflict, a change of
  // leaders), with pauses, keeping the age of the first attempt so that it is not starved.
  [[nodiscard]] Result<TxnOutcome> run_with_retry(Build build, RetryPolicy policy = {}, Timeout timeout = {});
  void run_with_retry_async(Build build, Callback<TxnOutcome> done, RetryPolicy policy = {}, Timeout timeout = {});

  // An interactive transaction (client/txn.h): runs the function, which reads and writes through Txn, then commits what
  // it wanted if all that it read is still so; otherwise runs it again, with the age of the first attempt. What the
  // function throws is thrown on, and nothing has happened. An Error: certainly nothing happened; with `refused`, the
  // function gave up or a shard refused what it tried.
  [[nodiscard]] Result<TxnOutcome> run(const RunOptions& options, const std::function<void(Txn&)>& function,
                                       Timeout timeout = {});

  // Reads several shards as they were at one instant, with no locks and no entry in any log; each branch takes SELECT
  // and get alone. When others write the same rows all the time it locks them like a transaction.
  [[nodiscard]] Result<ReadResult> read(std::vector<Branch> branches, Timeout timeout = {});
  void read_async(std::vector<Branch> branches, Callback<ReadResult> done, Timeout timeout = {});

  // A linearizable read on one shard. Repeated freely.
  [[nodiscard]] Result<QueryResult> query(std::string_view shard, Work work, Timeout timeout = {});
  // Of a key that route() brought there; refused as Transaction::routed_by says.
  [[nodiscard]] Result<QueryResult> query(const Route& route, Work work, Timeout timeout = {});
  // A stale read: of any replica that can prove that everything which anybody was told to be committed longer than
  // staleness_max ago (1 ms to a day) shows in it. QueryResult::age_max says how old it is at most. Replicas take
  // turns; one that cannot prove it is passed over, and when none can until the timeout the Error says why.
  [[nodiscard]] Result<QueryResult> query_stale(std::string_view shard, Work work,
                                                std::chrono::milliseconds staleness_max, Timeout timeout = {});
  [[nodiscard]] Result<QueryResult> query_stale(const Route& route, Work work, std::chrono::milliseconds staleness_max,
                                                Timeout timeout = {});
  void query_async(std::string_view shard, Work work, Callback<QueryResult> done, Timeout timeout = {});

  // What came of a transaction. The state "unknown" is not "aborted": without seal it may still begin.
  [[nodiscard]] Result<TxnOutcome> get_outcome(OutcomeRequest request, Timeout timeout = {});
  void get_outcome_async(OutcomeRequest request, Callback<TxnOutcome> done, Timeout timeout = {});

  // Calls back after the pause, on the client's thread; at once when the Client is being destroyed.
  void call_later(std::chrono::milliseconds pause, std::function<void()> done);

  // Asks every node. An Error only when none answers. digests: each replica computes the digest of its state.
  [[nodiscard]] Result<ClusterStatus> status(bool digests = false, Timeout timeout = {});
  // What every group's leader sees of a transaction that is not over, or (none) of all that are in doubt; for
  // explain().
  [[nodiscard]] Result<Sights> sights(const TxnId& txn, Timeout timeout = {});
  // Against the protocol: for when what would decide the transaction is lost for good. Error refused where the shard is
  // not in doubt. The answer is the shard's view.
  [[nodiscard]] Result<TxnOutcome> force(ForceRequest request, Timeout timeout = {});
  // Whatever is outstanding for the transaction at its coordinator's leader is sent again at once. Error refused when
  // it is over, or not known there. The answer is how it stands.
  [[nodiscard]] Result<TxnOutcome> retry(const TxnId& txn, Timeout timeout = {});
  // The part of a service that keeps failing was ended by hand; it is called no more. Error refused while nothing is
  // wrong with it. The answer is how the transaction stands.
  [[nodiscard]] Result<TxnOutcome> end_service(EndServiceRequest request, Timeout timeout = {});
  // What was forced is dealt with. Error refused where nothing was, or where the transaction has not ended. The answer
  // is the shard's view.
  [[nodiscard]] Result<TxnOutcome> forget(ForgetRequest request, Timeout timeout = {});
  // One change of who belongs to a group; where it stands in the leader's log. It is in force, and committed once
  // status() says so. Error refused with the reason, and where a change is under way already once the timeout is over.
  [[nodiscard]] Result<Position> change_members(std::string_view group, std::vector<MemberChange> changes,
                                                Timeout timeout = {});
  // Which nodes and groups there are: no older than any epoch that this client heard of.
  [[nodiscard]] Result<ClusterMap> map(Timeout timeout = {});
  // The epoch that the map has once the change is committed: the map then tells whether it is in it. Error refused with
  // the reason; MAP_CHANGED when the map is not of the expected epoch.
  [[nodiscard]] Result<std::uint64_t> change_map(std::uint64_t expected, MapChange change, Timeout timeout = {});
  // The shard that a key belongs to, when nobody names one (cluster/ring.h).
  [[nodiscard]] Result<Route> route(std::string_view key, Timeout timeout = {});
  // Asks the group's leader to hand over to the named node.
  [[nodiscard]] Result<void> transfer_leader(std::string_view group, std::string_view to, Timeout timeout = {});

 private:
  explicit Client(std::unique_ptr<Courier> courier);
  [[nodiscard]] std::chrono::steady_clock::time_point deadline(Timeout timeout) const;

  std::unique_ptr<Courier> courier_;
};

}  // namespace assent::client
