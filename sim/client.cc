#include "sim/client.h"

#include <algorithm>
#include <utility>

#include "base/planted.h"

namespace assent::sim {
namespace {
constexpr unsigned asks_without_seal_max = 3;
}  // namespace

Client::Client(Schedule& schedule, Recorder& recorder, Rng rng, Options options, Carrier carrier)
    : schedule_(schedule), recorder_(recorder), rng_(rng), options_(std::move(options)), carrier_(std::move(carrier)) {}

GroupId Client::home(const Execute& execute, GroupId coordinator) {
  return is_one_phase(execute) ? execute.branches.front().shard : coordinator;
}

void Client::execute(const Execute& execute, bool reused, std::function<void(const Ended&)> done) {
  execute_ = execute;
  reused_ = reused;
  on_ended_ = std::move(done);
  may_have_happened_ = false;
  cancelled_ = false;
  asks_ = 0;
  begin(Phase::executing, home(execute, options_.coordinator));
}

void Client::query(GroupId shard, Query query, std::function<void(std::optional<QueryAnswer>)> done) {
  query_ = std::move(query);
  on_query_ = std::move(done);
  begin(Phase::querying, shard);
}

void Client::ask(GroupId group, const TxnId& txn, bool seal, std::function<void(std::optional<TxnAnswer>)> done) {
  ask_ = GetOutcome{txn, seal, rng_.below(30)};
  on_ask_ = std::move(done);
  begin(Phase::curious, group);
}

void Client::crash() {
  busy_ = false;
  ++serial_;
  leaders_.clear();
}

void Client::begin(Phase phase, GroupId group) {
  busy_ = true;
  phase_ = phase;
  group_ = group;
  tries_ = 0;
  const auto& members = options_.members.at(group);
  const auto known = leaders_.find(group);
  target_ = known == leaders_.end() || rng_.chance(0.05) ? members[rng_.below(members.size())] : known->second;
  send();
}

Micros Client::backoff() { return rng_.between(2 * millisecond, 20 * millisecond * std::min(tries_ + 1, 10U)); }

void Client::send_later(Micros delay) {
  const std::uint64_t serial = ++serial_;
  schedule_.after(delay, [this, serial] {
    if (serial == serial_) send();
  });
}

void Client::send() {
  const std::uint64_t serial = ++serial_;
  ++tries_;
  Call call{options_.number, target_, group_, ClientBody{}, reused_};
  switch (phase_) {
    case Phase::executing: call.body = execute_; break;
    case Phase::querying: call.body = query_; break;
    case Phase::asking:
    case Phase::curious: call.body = ask_; break;
  }
  carrier_(call, [this, serial](const Result<ClientAnswer>& answer) { answered(serial, answer); });
  schedule_.after(options_.reply_timeout, [this, serial] { timed_out(serial); });
  if (phase_ == Phase::executing && rng_.chance(options_.cancel_share)) {
    schedule_.after(rng_.below(50 * millisecond), [this, serial] { cancel(serial); });
  }
}

// The next member in turn, or any: a leader's death is noticed by trying others.
void Client::aim_elsewhere() {
  const auto& members = options_.members.at(group_);
  leaders_.erase(group_);
  const auto place = std::find(members.begin(), members.end(), target_);
  if (place == members.end() || rng_.chance(0.2)) {
    target_ = members[rng_.below(members.size())];
  } else {
    target_ = place + 1 == members.end() ? members.front() : *(place + 1);
  }
}

void Client::answered(std::uint64_t serial, const Result<ClientAnswer>& answer) {
  if (serial != serial_ || !busy_) return;
  ++serial_;
  if (!answer) return failed(answer.error());
  leaders_[group_] = target_;
  if (const auto* txn = std::get_if<TxnAnswer>(&*answer)) {
    if (phase_ == Phase::executing) return executed(*txn);
    if (phase_ == Phase::asking) return heard_outcome(*txn);
    if (phase_ == Phase::curious) return end_curious(*txn);
  }
  const auto* rows = std::get_if<QueryAnswer>(&*answer);
  if (rows == nullptr || phase_ != Phase::querying)
    return recorder_.wrong("a request was answered with an answer of another kind");
  end_query(*rows);
}

void Client::timed_out(std::uint64_t serial) {
  if (serial != serial_ || !busy_) return;
  ++serial_;
  aim_elsewhere();
  switch (phase_) {
    case Phase::executing:
      may_have_happened_ = true;
      if (rng_.chance(0.5)) return start_asking();
      return send();
    case Phase::asking: return send();
    case Phase::querying:
      if (tries_ >= options_.curious_tries_max) return end_query(std::nullopt);
      return send();
    case Phase::curious:
      if (tries_ >= options_.curious_tries_max) return end_curious(std::nullopt);
      return send();
  }
}

// The caller went away from the call, not from the question what came of it.
void Client::cancel(std::uint64_t serial) {
  if (serial != serial_ || !busy_ || phase_ != Phase::executing) return;
  ++serial_;
  recorder_.fault("call cancelled");
  may_have_happened_ = true;
  cancelled_ = true;
  start_asking();
}

void Client::failed(const Error& error) {
  const bool curious = phase_ == Phase::querying || phase_ == Phase::curious;
  if (error.code == ErrorCode::not_leader && !error.leader_hint.none() && error.leader_hint != target_) {
    target_ = error.leader_hint;
    leaders_[group_] = target_;
    return send_later(rng_.below(2 * millisecond));
  }
  if (error.code == ErrorCode::too_old && phase_ == Phase::asking) {  // nobody can say, or not for a long time
    Ended ended;
    ended.how = Ended::How::refused;
    ended.error = error;
    return end(ended);
  }
  aim_elsewhere();
  const bool again =
      error.code == ErrorCode::not_leader || error.code == ErrorCode::busy || error.code == ErrorCode::cancelled;
  if (curious && (tries_ >= options_.curious_tries_max || !again)) {
    return phase_ == Phase::querying ? end_query(std::nullopt) : end_curious(std::nullopt);
  }
  if (again || phase_ == Phase::asking) return send_later(backoff());
  if (error.code == ErrorCode::unknown_outcome || may_have_happened_) {
    may_have_happened_ = true;
    return start_asking();
  }
  Ended ended;
  ended.how = Ended::How::refused;
  ended.error = error;
  end(ended);
}

void Client::executed(const TxnAnswer& answer) {
  if (tries_ > 1 && may_have_happened_) recorder_.rare("retry answered from the record");
  heard_outcome(answer);
}

void Client::start_asking() {
  if (planted(Bug::unknown_is_retried)) {  // as if it had been refused: the caller begins again under a new id
    Ended ended;
    ended.how = Ended::How::aborted;
    ended.answer.txn = execute_.txn;
    ended.answer.state = TxnState::aborted;
    ended.answer.refusal.reason = AbortReason::conflict;
    return end(ended);
  }
  const bool first = phase_ != Phase::asking;
  phase_ = Phase::asking;
  ask_ = GetOutcome{execute_.txn, rng_.chance(options_.seal_share), rng_.below(30)};
  if (first) recorder_.outcome("unknown");
  send_later(backoff());
}

void Client::heard_outcome(const TxnAnswer& answer) {
  const bool asked = phase_ == Phase::asking;
  Ended ended;
  ended.answer = answer;
  ended.by_asking = asked;
  switch (answer.state) {
    case TxnState::committed: ended.how = Ended::How::committed; return end(ended);
    case TxnState::aborted: ended.how = Ended::How::aborted; return end(ended);
    case TxnState::expired: ended.how = Ended::How::expired; return end(ended);
    case TxnState::unknown:
    case TxnState::running:
    case TxnState::prepared: break;
  }
  if (asked && ask_.seal && answer.state == TxnState::unknown) {
    recorder_.wrong(fmt::format("A6: an asker with a seal was answered that {} is unknown", answer.txn));
  }
  phase_ = Phase::asking;
  ask_ = GetOutcome{execute_.txn, ++asks_ > asks_without_seal_max || rng_.chance(options_.seal_share), rng_.below(30)};
  send_later(backoff());
}

void Client::end(const Ended& ended) {
  busy_ = false;
  if (ended.by_asking && ended.how == Ended::How::committed) {
    recorder_.rare("unknown outcome resolved as committed");
    if (ask_.seal) recorder_.rare("asker with a seal heard committed");
  }
  if (ended.by_asking && ended.how == Ended::How::aborted) recorder_.rare("unknown outcome resolved as aborted");
  if (ended.how == Ended::How::expired) recorder_.rare("outcome expired");
  if (cancelled_ && ended.how == Ended::How::committed) recorder_.rare("cancelled call was committed all the same");
  if (cancelled_ && ended.how == Ended::How::aborted) recorder_.rare("cancelled call was aborted");
  if (asks_ > 3) recorder_.rare("outcome learned after more than three questions");
  if (tries_ > 5) recorder_.rare("answer got after more than five tries");
  const auto done = std::exchange(on_ended_, nullptr);
  done(ended);
}

void Client::end_query(std::optional<QueryAnswer> answer) {
  busy_ = false;
  const auto done = std::exchange(on_query_, nullptr);
  done(std::move(answer));
}

void Client::end_curious(std::optional<TxnAnswer> answer) {
  busy_ = false;
  const auto done = std::exchange(on_ask_, nullptr);
  done(std::move(answer));
}

}  // namespace assent::sim
