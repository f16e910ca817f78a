// Reading several shards at one instant without locks (PROTOCOL.md section 2): all are read, then all are asked whether
// anything of it has changed or is about to. When none says so, everything held at the moment between.
#include "client/convert.h"
#include "client/operations.h"

namespace assent::client {

namespace {

constexpr std::uint32_t optimistic_rounds_max = 3;  // then it locks, like a transaction that writes

Task<Result<v1::QueryResponse>> ask(Courier& courier, std::string shard, v1::QueryRequest request,
                                    SteadyTime deadline) {
  Result<Delivery<v1::QueryResponse>> delivery = co_await ask_until_answered(
      courier, std::move(shard), &v1::Shard::Stub::AsyncQuery, std::as_const(request), deadline);
  if (!delivery) co_return tl::unexpected(delivery.error());
  co_return std::move(delivery->response);
}

v1::QueryRequest request_of(const std::string& shard, const Work& work) {
  v1::QueryRequest request;
  request.set_shard(shard);
  encode_work(work, *request.mutable_operations());
  return request;
}

struct Round {
  std::vector<BranchResult> results;
  bool held = false;
};

Task<Result<Round>> one_round(Courier& courier, const std::vector<Branch>& branches, SteadyTime deadline) {
  Round round;
  std::vector<Index> at;
  for (const Branch& branch : branches) {
    Result<QueryResult> answer = co_await query(courier, branch.shard, branch.work, deadline);
    if (!answer) co_return tl::unexpected(answer.error());
    round.results.push_back({branch.shard, std::move(answer->results)});
    at.push_back(answer->at);
  }
  round.held = true;
  for (std::size_t i = 0; i < branches.size() && branches.size() > 1 && round.held; ++i) {
    Validation validation{branches[i].shard, branches[i].work, at[i]};  // gcc 12 frees a temporary here twice
    const Result<bool> held = co_await unchanged(courier, std::move(validation), deadline);
    if (!held) co_return tl::unexpected(held.error());
    round.held = *held;
  }
  co_return round;
}

Task<Result<ReadResult>> with_locks(Courier& courier, std::vector<Branch> branches, SteadyTime deadline) {
  const BuildTransaction build = [&branches](const TxnId&) {
    Transaction transaction;
    transaction.branches = branches;
    return transaction;
  };
  // The results of a commit may be lost on the way and are not kept: then it is read once more.
  while (std::chrono::steady_clock::now() < deadline) {
    Result<TxnOutcome> outcome = co_await run_with_retry(courier, build, {}, deadline);
    if (!outcome) co_return tl::unexpected(outcome.error());
    if (outcome->aborted()) co_return fail(ErrorCode::refused, outcome->abort.message);
    if (!outcome->committed()) break;
    if (outcome->results.size() != branches.size()) continue;
    ReadResult read;
    for (const Branch& branch : branches) read.results.push_back({branch.shard, outcome->of(branch.shard)});
    read.locked = true;
    co_return read;
  }
  co_return fail(ErrorCode::timed_out, "the shards could not be read at one instant in time; read again");
}

}  // namespace

Task<Result<Rehearsal>> rehearse(Courier& courier, std::string shard, Work work, SteadyTime deadline) {
  v1::QueryRequest request = request_of(shard, work);
  request.set_rehearse(true);
  Result<v1::QueryResponse> answer = co_await ask(courier, std::move(shard), std::move(request), deadline);
  if (!answer) co_return tl::unexpected(answer.error());
  QueryResult decoded = decode(*answer);
  co_return Rehearsal{std::move(decoded.results), {answer->digests().begin(), answer->digests().end()}, decoded.at};
}

Task<Result<bool>> unchanged(Courier& courier, Validation validation, SteadyTime deadline) {
  v1::QueryRequest request = request_of(validation.shard, validation.work);
  request.set_rehearse(validation.writes);
  request.set_unchanged_since(validation.since.value);
  const Result<v1::QueryResponse> answer =
      co_await ask(courier, std::move(validation.shard), std::move(request), deadline);
  if (answer) co_return !answer->changed();
  // What it expected is not what it finds, or the work cannot be run any more: either way something has changed.
  if (answer.error().code == ErrorCode::refused || answer.error().code == ErrorCode::invalid) co_return false;
  co_return tl::unexpected(answer.error());
}

Task<Result<ReadResult>> read(Courier& courier, std::vector<Branch> branches, SteadyTime deadline) {
  if (branches.empty()) co_return fail(ErrorCode::invalid, "nothing is to be read");
  ReadResult read;
  for (read.rounds = 1; read.rounds <= optimistic_rounds_max; ++read.rounds) {
    Result<Round> round = co_await one_round(courier, branches, deadline);
    if (!round) co_return tl::unexpected(round.error());
    if (!round->held) continue;
    read.results = std::move(round->results);
    co_return read;
  }
  Result<ReadResult> locked = co_await with_locks(courier, std::move(branches), deadline);
  if (locked) locked->rounds = read.rounds;
  co_return locked;
}

}  // namespace assent::client
