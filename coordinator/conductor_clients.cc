// What clients ask of a conductor: to execute, and what came of it.
#include <algorithm>
#include <utility>

#include "coordinator/conductor.h"
#include "coordinator/conductor_detail.h"

namespace assent {
namespace {

Refusal reused_id() {
  return refusal_of(AbortReason::reused_id, {}, "this id was already used with other content; nothing of this one ran");
}

std::string sentence(AbortReason reason) {
  switch (reason) {
    case AbortReason::sealed: return "somebody asked for the outcome with seal before it was decided";
    case AbortReason::timeout: return "not everybody had voted in time";
    case AbortReason::superseded: return "an earlier attempt had already been voted on";
    default: return "the coordinator's log holds the abort";
  }
}

constexpr auto too_old_message =
    "the id is older than the retention and cannot be executed; what came of an earlier call, its outcome tells";
constexpr auto too_new_message = "the id's time is further ahead of the cluster's than the clock skew allows";

}  // namespace

void Conductor::request(const ClientRequest& request) {
  if (!leading_) return fail_client(request.id, ErrorCode::not_leader, "this node does not lead the coordinator group");
  if (const auto* one = std::get_if<Execute>(&request.body)) return execute(request, *one);
  if (const auto* one = std::get_if<GetOutcome>(&request.body)) return get_outcome(request, *one);
  if (const auto* one = std::get_if<Retry>(&request.body)) return retry(request.id, one->txn);
  if (const auto* one = std::get_if<OverrideService>(&request.body)) return override_service(request.id, *one);
  fail_client(request.id, ErrorCode::unsupported, "this is asked of a shard, not of a coordinator group");
}

void Conductor::execute(const ClientRequest& request, const Execute& execute) {
  if (auto fault = find_fault(execute, options_.limits)) {
    return tell(request.id, aborted_answer(execute.txn, std::move(*fault), {}));
  }
  if (effective_protocol(execute) == Protocol::one_phase) {
    // One id must not run as one-phase at its shard and as another here: who executes it is a function of its content.
    return fail_client(request.id, ErrorCode::refused, "a one-phase transaction is executed by its shard's group");
  }
  const std::uint64_t print = fingerprint(execute);
  if (effective_protocol(execute) == Protocol::three_phase && execute.branches.size() < 2) {
    return fail_client(request.id, ErrorCode::refused,
                       "three-phase takes two shards or more: with one there is no majority without it or without the "
                       "coordinator; use one-phase");
  }
  if (answer_known(request.id, execute, print)) return;
  if (const auto found = running_.find(execute.txn); found != running_.end()) {
    const bool only_looks = found->second.look && !found->second.knows_participants();
    if (!only_looks) return join(request.id, print, found->second);
    running_due_.erase(execute.txn);  // its askers wait for the attempt instead
    running_.erase(found);
  }
  if (decisions_->too_old(execute.txn)) return fail_client(request.id, ErrorCode::too_old, too_old_message);
  if (decisions_->too_new(execute.txn)) return hold(request);
  begin(request.id, execute, print);
}

// An idle log's last stamp lies in the past, so that an id of today seems ahead of it. Judged again once an entry of
// now has brought its stamp.
void Conductor::hold(const ClientRequest& request) {
  if (held_.size() >= options_.attempts_max) return fail_client(request.id, ErrorCode::busy, "too many requests wait");
  held_.push_back(request);
  propose_tidy();
}

void Conductor::judge_held() {
  for (const ClientRequest& one : std::exchange(held_, {})) {
    const auto* execute = std::get_if<Execute>(&one.body);
    const TxnId txn = execute != nullptr ? execute->txn : std::get<GetOutcome>(one.body).txn;
    if (decisions_->too_new(txn)) {
      fail_client(one.id, ErrorCode::too_old, too_new_message);
    } else {
      request(one);
    }
  }
}

bool Conductor::answer_known(RequestId id, const Execute& execute, std::uint64_t print) {
  if (const auto record = decisions_->find(execute.txn)) {
    const bool other = record->fingerprint != 0 && record->fingerprint != print;
    tell(id, other ? aborted_answer(execute.txn, reused_id(), {}) : outcome_of(execute.txn));
    return true;
  }
  const auto told = notes_.find(execute.txn);
  if (told != notes_.end() && is_outcome(told->second)) {
    if (told->second.fingerprint != 0 && told->second.fingerprint != print) {
      refuse_other_content(id);
    } else {
      tell(id, outcome_of(execute.txn));
    }
    return true;
  }
  const auto balloted = decisions_->ballots().find(execute.txn);
  if (balloted != decisions_->ballots().end() && balloted->second.fingerprint != print) {
    refuse_other_content(id);
    return true;
  }
  const auto recent = recent_aborts_.find(execute.txn);
  if (recent == recent_aborts_.end()) return false;
  if (recent->second.fingerprint != print) {
    refuse_other_content(id);
  } else {
    tell(id, outcome_of(execute.txn));
  }
  return true;
}

// Who joins while the content is not known is compared at the end (tell_executes).
void Conductor::join(RequestId id, std::uint64_t print, Running& running) {
  const bool content_unknown = running.fingerprint == 0;
  if (!content_unknown && running.fingerprint != print) return refuse_other_content(id);
  if (running.executes.size() >= options_.waiters_max) {
    return fail_client(id, ErrorCode::busy, "as many clients as may wait for this transaction already do");
  }
  running.executes.push_back({id, print});
}

// No log holds yet what would make "aborted" final for this content: an error, not an outcome.
void Conductor::refuse_other_content(RequestId id) {
  fail_client(id, ErrorCode::refused, "this id is in use with other content; choose a new one");
}

void Conductor::get_outcome(const ClientRequest& request, const GetOutcome& ask) {
  if (ask.txn.none()) return fail_client(request.id, ErrorCode::malformed, "the transaction has no id");
  const auto found = running_.find(ask.txn);
  std::uint64_t wait = std::min(ask.wait_ticks, options_.timeout_ticks_max);
  if (found == running_.end()) {
    const TxnAnswer known = outcome_of(ask.txn);
    if (known.state != TxnState::unknown) return tell(request.id, known);
    if (ask.seal && decisions_->too_new(ask.txn)) return hold(request);
    if (running_.size() >= options_.attempts_max) {
      return fail_client(request.id, ErrorCode::busy, "the coordinator has as many transactions as it may; try again");
    }
    survey(ask.txn, !ask.seal);
  } else if (found->second.phase == Phase::resolving) {
    if (ask.seal) found->second.look = false;
  } else if (ask.wait_ticks == 0 && !(ask.seal && found->second.phase == Phase::sealing)) {
    return tell(request.id, outcome_of(ask.txn));
  }
  // The registers' word takes a moment, whatever the asker says.
  const bool resolving = running_.at(ask.txn).phase == Phase::resolving;
  if (resolving) wait = std::max(wait, options_.resolve_ticks);
  std::set<RequestId>& others = askers_of_[ask.txn];
  if (others.size() >= options_.waiters_max) {
    return fail_client(request.id, ErrorCode::busy, "as many clients as may wait for this transaction already do");
  }
  others.insert(request.id);
  askers_.emplace(request.id, Asker{.id = request.id, .txn = ask.txn, .seal = ask.seal});
  askers_due_.set(request.id, now_ + std::max<std::uint64_t>(1, wait));
}

TxnAnswer Conductor::outcome_of(const TxnId& txn) const {
  TxnAnswer answer;
  answer.txn = txn;
  answer.protocol = Protocol::two_phase;
  if (const Bill* bill = bills_.find(txn)) answer.bill = *bill;
  if (const auto record = decisions_->find(txn)) {
    answer.protocol = record->protocol;
    answer.mode = record->mode;
    answer.decided_at = record->decided_at;
    answer.by_hand = record->by_hand;
    answer.state = record->outcome == Outcome::committed ? TxnState::committed : TxnState::aborted;
    if (answer.state == TxnState::committed) answer.attempt = record->attempt;
    if (answer.state == TxnState::aborted) answer.refusal = refusal_of(record->reason, {}, sentence(record->reason));
    const auto open = decisions_->open().find(txn);
    if (open != decisions_->open().end()) {
      answer.participants = open->second.participants;
      answer.services = open->second.services;
    }
  } else if (const auto running = running_.find(txn); running != running_.end()) {
    const Running& found = running->second;
    const bool no_trace = found.phase == Phase::resolving && found.look && !found.knows_participants();
    answer.state = no_trace ? TxnState::unknown : TxnState::running;
    answer.protocol = running->second.protocol;
    answer.mode = running->second.mode;
    answer.participants = participants_of(running->second.branches);
    answer.services = services_of(running->second.branches);
  } else if (const auto told = notes_.find(txn); told != notes_.end() && is_outcome(told->second)) {
    answer.state = told->second.commit ? TxnState::committed : TxnState::aborted;
    answer.protocol = told->second.protocol;
    if (!told->second.commit) answer.refusal = refusal_of(told->second.reason, {}, sentence(told->second.reason));
    const auto recent = recent_aborts_.find(txn);
    if (!told->second.commit && recent != recent_aborts_.end()) answer.refusal = recent->second.refusal;
  } else if (const auto recent = recent_aborts_.find(txn); recent != recent_aborts_.end()) {
    answer.state = TxnState::aborted;
    answer.refusal = recent->second.refusal;
  } else if (decisions_->too_old(txn) && decisions_->may_be_forgotten(txn)) {
    answer.state = TxnState::expired;
  }
  return answer;
}

void Conductor::tick_askers() {
  while (const auto due = askers_due_.pop(now_)) {
    const Asker asker = askers_.at(*due);
    const auto running = running_.find(asker.txn);
    if (asker.seal && running != running_.end() && running->second.phase == Phase::sealing) {
      askers_due_.set(*due, now_ + options_.resend_ticks);  // the log's word is on its way: it must be heard
      continue;
    }
    askers_.erase(*due);
    const auto others = askers_of_.find(asker.txn);
    others->second.erase(asker.id);
    if (others->second.empty()) askers_of_.erase(others);
    tell(asker.id, outcome_of(asker.txn));
  }
}

void Conductor::answer_askers(const TxnId& txn, const TxnAnswer& answer) {
  const auto found = askers_of_.find(txn);
  if (found == askers_of_.end()) return;
  for (const RequestId id : found->second) {
    askers_.erase(id);
    askers_due_.erase(id);
    tell(id, answer);
  }
  askers_of_.erase(found);
}

// The no that ended it stands in a shard's log, not here; until this memory fades, who asks again hears why.
void Conductor::remember_abort(const TxnId& txn, std::uint64_t print, const Refusal& refusal) {
  if (refusal.reason == AbortReason::reused_id) return;  // says nothing about the first use of the id
  if (!recent_aborts_.emplace(txn, RecentAbort{.fingerprint = print, .refusal = refusal}).second) return;
  recent_abort_order_.push_back(txn);
  if (recent_abort_order_.size() <= options_.recent_aborts_max) return;
  recent_aborts_.erase(recent_abort_order_.front());
  recent_abort_order_.pop_front();
}

// A8: an outcome is told as that of the content that it is the outcome of.
void Conductor::tell_executes(const TxnId& txn, const Running& ended, const TxnAnswer& answer) {
  const std::uint64_t content = content_of(txn, ended);
  for (const auto& [client, fingerprint] : ended.executes) {
    if (content != 0 && content != fingerprint) {
      refuse_other_content(client);
    } else {
      tell(client, answer);
    }
  }
}

// 0: nobody knows, or no content was ever seen.
std::uint64_t Conductor::content_of(const TxnId& txn, const Running& running) const {
  if (running.fingerprint != 0) return running.fingerprint;
  if (const auto record = decisions_->find(txn)) return record->fingerprint;
  const auto told = notes_.find(txn);
  return told != notes_.end() ? told->second.fingerprint : 0;
}

void Conductor::tell(RequestId client, const TxnAnswer& answer) {
  output_.reply.push_back(ClientReply{.id = client, .answer = ClientAnswer(answer)});
}

void Conductor::fail_client(RequestId client, ErrorCode code, std::string message) {
  output_.reply.push_back(ClientReply{.id = client, .answer = fail(code, std::move(message))});
}

}  // namespace assent
