#include "client/client.h"

#include <condition_variable>
#include <mutex>

#include "base/check.h"
#include "client/interactive.h"
#include "client/operations.h"

namespace assent::client {

namespace {

// Starts the task and waits for its value.
template <class T>
T wait_for(Runtime& runtime, Task<T> task) {
  ASSENT_CHECK(!runtime.on_own_thread(), "a callback of a Client must not make a call that waits; use the async form");
  struct Slot {
    std::mutex mutex;  // protects value
    std::condition_variable filled;
    std::optional<T> value;
  };
  Slot slot;
  runtime.start<T>(std::move(task), [&slot](T value) {
    const std::lock_guard lock(slot.mutex);
    slot.value.emplace(std::move(value));
    slot.filled.notify_one();  // with the lock held: the slot lives until the waiter has it
  });
  std::unique_lock lock(slot.mutex);
  slot.filled.wait(lock, [&slot] { return slot.value.has_value(); });
  return std::move(*slot.value);
}

Task<bool> pause_for(Runtime& runtime, std::chrono::milliseconds pause) {
  co_await runtime.sleep(pause);
  co_return true;
}

}  // namespace

Result<Client> Client::connect(Options options) {
  if (options.endpoints.empty()) return fail(ErrorCode::invalid, "no endpoint is given");
  for (const std::string& endpoint : options.endpoints) {
    const Result<std::vector<std::string>> parsed = parse_endpoints(endpoint);
    if (!parsed) return tl::unexpected(parsed.error());
  }
  return Client(std::make_unique<Courier>(std::move(options)));
}

Client::Client(std::unique_ptr<Courier> courier) : courier_(std::move(courier)) {}
Client::Client(Client&&) noexcept = default;
Client& Client::operator=(Client&&) noexcept = default;
Client::~Client() = default;

std::chrono::steady_clock::time_point Client::deadline(Timeout timeout) const {
  return std::chrono::steady_clock::now() + timeout.value_or(courier_->options().timeout);
}

Result<TxnOutcome> Client::execute(Transaction transaction, Timeout timeout) {
  return wait_for(courier_->runtime(), client::execute(*courier_, std::move(transaction), deadline(timeout)));
}

void Client::execute_async(Transaction transaction, Callback<TxnOutcome> done, Timeout timeout) {
  courier_->runtime().start<Result<TxnOutcome>>(client::execute(*courier_, std::move(transaction), deadline(timeout)),
                                                std::move(done));
}

Result<TxnOutcome> Client::run_with_retry(Build build, RetryPolicy policy, Timeout timeout) {
  return wait_for(courier_->runtime(), client::run_with_retry(*courier_, std::move(build), policy, deadline(timeout)));
}

void Client::run_with_retry_async(Build build, Callback<TxnOutcome> done, RetryPolicy policy, Timeout timeout) {
  courier_->runtime().start<Result<TxnOutcome>>(
      client::run_with_retry(*courier_, std::move(build), policy, deadline(timeout)), std::move(done));
}

Result<TxnOutcome> Client::run(const RunOptions& options, const std::function<void(Txn&)>& function, Timeout timeout) {
  const SteadyTime until = deadline(timeout);
  Interaction interaction(*courier_, options);
  for (;;) {
    Txn txn(interaction.begin(), [&](const std::string& shard, Work work) {
      return wait_for(courier_->runtime(), rehearse(*courier_, shard, std::move(work), until));
    });
    function(txn);  // what it throws leaves nothing behind: nothing but reads was sent
    std::optional<Result<TxnOutcome>> ended =
        wait_for(courier_->runtime(), interaction.commit(std::move(txn).intent(), until));
    if (ended) return std::move(*ended);
  }
}

Result<ReadResult> Client::read(std::vector<Branch> branches, Timeout timeout) {
  return wait_for(courier_->runtime(), client::read(*courier_, std::move(branches), deadline(timeout)));
}

void Client::read_async(std::vector<Branch> branches, Callback<ReadResult> done, Timeout timeout) {
  courier_->runtime().start<Result<ReadResult>>(client::read(*courier_, std::move(branches), deadline(timeout)),
                                                std::move(done));
}

Result<QueryResult> Client::query(std::string_view shard, Work work, Timeout timeout) {
  return wait_for(courier_->runtime(),
                  client::query(*courier_, std::string(shard), std::move(work), deadline(timeout)));
}

Result<QueryResult> Client::query(const Route& route, Work work, Timeout timeout) {
  return wait_for(courier_->runtime(),
                  client::query(*courier_, route.shard, std::move(work), deadline(timeout), route.epoch));
}

Result<QueryResult> Client::query_stale(std::string_view shard, Work work, std::chrono::milliseconds staleness_max,
                                        Timeout timeout) {
  StaleQuery asked{std::string(shard), std::move(work), staleness_max, {}};
  return wait_for(courier_->runtime(), client::query_stale(*courier_, std::move(asked), deadline(timeout)));
}

Result<QueryResult> Client::query_stale(const Route& route, Work work, std::chrono::milliseconds staleness_max,
                                        Timeout timeout) {
  StaleQuery asked{route.shard, std::move(work), staleness_max, route.epoch};
  return wait_for(courier_->runtime(), client::query_stale(*courier_, std::move(asked), deadline(timeout)));
}

void Client::query_async(std::string_view shard, Work work, Callback<QueryResult> done, Timeout timeout) {
  courier_->runtime().start<Result<QueryResult>>(
      client::query(*courier_, std::string(shard), std::move(work), deadline(timeout)), std::move(done));
}

Result<TxnOutcome> Client::get_outcome(OutcomeRequest request, Timeout timeout) {
  return wait_for(courier_->runtime(), client::get_outcome(*courier_, std::move(request), deadline(timeout)));
}

void Client::get_outcome_async(OutcomeRequest request, Callback<TxnOutcome> done, Timeout timeout) {
  courier_->runtime().start<Result<TxnOutcome>>(client::get_outcome(*courier_, std::move(request), deadline(timeout)),
                                                std::move(done));
}

void Client::call_later(std::chrono::milliseconds pause, std::function<void()> done) {
  Runtime& runtime = courier_->runtime();
  runtime.start<bool>(pause_for(runtime, std::max(pause, std::chrono::milliseconds(1))),
                      [done = std::move(done)](bool) { done(); });
}

Result<ClusterStatus> Client::status(bool digests, Timeout timeout) {
  return wait_for(courier_->runtime(), client::cluster_status(*courier_, digests, deadline(timeout)));
}

Result<Sights> Client::sights(const TxnId& txn, Timeout timeout) {
  return wait_for(courier_->runtime(), client::ask_sights(*courier_, txn, deadline(timeout)));
}

Result<TxnOutcome> Client::force(ForceRequest request, Timeout timeout) {
  return wait_for(courier_->runtime(), client::force(*courier_, std::move(request), deadline(timeout)));
}

Result<TxnOutcome> Client::retry(const TxnId& txn, Timeout timeout) {
  return wait_for(courier_->runtime(), client::retry(*courier_, txn, deadline(timeout)));
}

Result<TxnOutcome> Client::end_service(EndServiceRequest request, Timeout timeout) {
  return wait_for(courier_->runtime(), client::end_service(*courier_, std::move(request), deadline(timeout)));
}

Result<TxnOutcome> Client::forget(ForgetRequest request, Timeout timeout) {
  return wait_for(courier_->runtime(), client::forget(*courier_, std::move(request), deadline(timeout)));
}

Result<Position> Client::change_members(std::string_view group, std::vector<MemberChange> changes, Timeout timeout) {
  return wait_for(courier_->runtime(),
                  client::change_members(*courier_, {std::string(group), std::move(changes)}, deadline(timeout)));
}

Result<ClusterMap> Client::map(Timeout timeout) {
  return wait_for(courier_->runtime(), courier_->find_map(deadline(timeout)));
}

Result<std::uint64_t> Client::change_map(std::uint64_t expected, MapChange change, Timeout timeout) {
  return wait_for(courier_->runtime(), client::change_map(*courier_, {expected, std::move(change)}, deadline(timeout)));
}

Result<Route> Client::route(std::string_view key, Timeout timeout) {
  return wait_for(courier_->runtime(), courier_->route(std::string(key), deadline(timeout)));
}

Result<void> Client::transfer_leader(std::string_view group, std::string_view to, Timeout timeout) {
  LeaderTransfer transfer{std::string(group), std::string(to)};
  const Result<LeaderTransfer> done =
      wait_for(courier_->runtime(), client::transfer_leader(*courier_, std::move(transfer), deadline(timeout)));
  if (!done) return tl::unexpected(done.error());
  return {};
}

}  // namespace assent::client
