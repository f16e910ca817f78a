#include "sim/commit_trace.h"

namespace assent::sim {
namespace {
using State = Register::State;
constexpr std::string_view yes = R"("vote":"yes")";
constexpr std::string_view no = R"("vote":"no")";
constexpr std::string_view committed = R"("outcome":"committed")";
constexpr std::string_view aborted = R"("outcome":"aborted")";

template <class T>
const T* as(const ShardCommand& command) {
  return std::get_if<T>(&command);
}
}  // namespace

void CommitTrace::line(const TxnId& txn, std::string_view event, GroupId participant, std::string_view verdict,
                       const std::optional<Attempt>& attempt, const std::optional<Index>& index,
                       const std::vector<GroupId>& participants) {
  if (!file_.on()) return;
  std::string text = fmt::format(R"({{"time":{},"id":"{}","event":"{}","participant":"{}",{})", schedule_.now() * 1000,
                                 txn.to_hex(), event, participant, verdict);
  if (attempt) text += fmt::format(R"(,"attempt":[{},{}])", attempt->epoch, attempt->number);
  if (index) text += fmt::format(R"(,"index":{})", *index);
  if (!participants.empty()) text += fmt::format(R"(,"participants":["{}"])", fmt::join(participants, R"(",")"));
  file_.line(text + "}");
}

void CommitTrace::decided(GroupId coordinator, const Decide& decide, Index index) {
  line(decide.txn, "decide", coordinator, committed, decide.attempt, index, decide.participants);
}

void CommitTrace::decided_by_vote(GroupId shard, const TxnId& txn, const std::vector<GroupId>& participants,
                                  Index index) {
  line(txn, "decide", shard, committed, std::nullopt, index, participants);
}

void CommitTrace::applied(GroupId shard, const ShardCommand& command, Index index, const Register& before,
                          const Register& after) {
  if (before.state == after.state) return;
  const bool yes_now = after.state == State::prepared;
  const bool commits = after.state == State::committed;
  if (const auto* prepare = as<PrepareWork>(command)) {
    return line(prepare->txn, "prepare", shard, yes_now ? yes : no, prepare->attempt, index);
  }
  if (const auto* refuse = as<RefuseWork>(command)) {
    return line(refuse->txn, "prepare", shard, no, std::nullopt, index);
  }
  if (const auto* seal = as<SealWork>(command)) {
    return line(seal->txn, "prepare", shard, no, std::nullopt, index);
  }
  if (const auto* execute = as<ExecuteWork>(command)) {
    line(execute->txn, "prepare", shard, commits ? yes : no, Attempt{}, index);
    if (commits) line(execute->txn, "decide", shard, committed, Attempt{}, index, {shard});
    return line(execute->txn, "finish applied", shard, commits ? committed : aborted, Attempt{}, index);
  }
  if (const auto* finish = as<FinishWork>(command)) {
    // A transaction past its retention may be forgotten by the entry that finishes it.
    const bool done = after.state == State::empty ? finish->commit : commits;
    line(finish->txn, "finish applied", shard, done ? committed : aborted, finish->attempt, index);
  }
}

void CommitTrace::vote_received(const Vote& vote, GroupId from) {
  line(vote.txn, "vote received", from, vote.yes ? yes : no, vote.attempt, std::nullopt);
}

void CommitTrace::told(GroupId by, const TxnAnswer& answer) {
  if (answer.state == TxnState::committed) line(answer.txn, "outcome told", by, committed, std::nullopt, std::nullopt);
  if (answer.refusal.reason == AbortReason::reused_id) return;
  if (answer.state == TxnState::aborted) line(answer.txn, "outcome told", by, aborted, std::nullopt, std::nullopt);
}

}  // namespace assent::sim
