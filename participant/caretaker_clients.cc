// What clients ask of a shard: one-phase transactions, queries, and what came of a transaction.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/planted.h"
#include "participant/caretaker.h"
#include "participant/stale_query.h"

namespace assent {
namespace {

// Under an id above all of today's: eight bytes of ones, then a counter.
TxnId query_key(std::uint64_t number) {
  TxnId key;
  key.bytes.fill(0xFF);
  for (std::size_t i = 0; i < 8; ++i) key.bytes[15 - i] = static_cast<std::uint8_t>(number >> (8 * i));
  return key;
}

// What work that is taken back depends on: it must not miss what was told, and keeps nobody out.
std::vector<LockRequest> as_reads(std::vector<LockRequest> locks) {
  std::erase_if(locks, [](const LockRequest& lock) { return lock.mode == LockMode::escrow; });
  for (LockRequest& lock : locks) {
    if (lock.mode == LockMode::exclusive) lock.mode = LockMode::shared;
    if (lock.mode == LockMode::intention_exclusive) lock.mode = LockMode::intention_shared;
  }
  return locks;
}

ErrorCode code_of(AbortReason reason) {
  return reason == AbortReason::invalid ? ErrorCode::malformed : ErrorCode::refused;
}

constexpr auto too_old_message =
    "the id is older than the retention and cannot be executed; what came of an earlier call is no longer known here";
constexpr auto too_new_message = "the id's time is further ahead of the shard's than the clock skew allows";
constexpr auto too_many_wait = "as many clients as may wait for this transaction already do";

}  // namespace

void Caretaker::request(const ClientRequest& request) {
  if (!leading_) return fail_client(request.id, ErrorCode::not_leader, "this node does not lead the shard's group");
  if (const auto* one = std::get_if<Execute>(&request.body)) return execute(request, *one);
  if (const auto* one = std::get_if<Query>(&request.body)) return query(request, *one);
  if (const auto* one = std::get_if<Override>(&request.body)) return force(request, *one);
  if (const auto* one = std::get_if<Forget>(&request.body)) return forget(request, *one);
  get_outcome(request, std::get<GetOutcome>(request.body));
}

// ---- one-phase
// -------------------------------------------------------------------------------------------------------

void Caretaker::execute(const ClientRequest& request, const Execute& execute) {
  if (auto fault = find_fault(execute, options_.limits))
    return tell(request.id, aborted(execute.txn, std::move(*fault)));
  const bool here = is_one_phase(execute) && execute.branches.front().shard == options_.self;
  if (!here) {
    return fail_client(request.id, ErrorCode::refused,
                       "a shard executes one-phase transactions of its own; others go to a coordinator group");
  }
  const std::uint64_t print = fingerprint(execute);
  if (answer_known(request.id, execute, print)) return;
  if (shard_->too_old(execute.txn)) return fail_client(request.id, ErrorCode::too_old, too_old_message);
  if (shard_->too_new(execute.txn)) return hold_back(request);
  if (jobs_.size() >= options_.jobs_max) {
    return fail_client(request.id, ErrorCode::busy, "the shard has as many transactions as it may; try again");
  }
  Job job;
  job.txn = execute.txn;
  job.age = execute.age.none() ? execute.txn : execute.age;
  job.fingerprint = print;
  job.work = execute.branches.front().work;
  const std::uint64_t asked = execute.timeout_ticks == 0 ? options_.prepare_timeout_ticks : execute.timeout_ticks;
  job.deadline = now_ + std::min(asked, options_.prepare_timeout_ticks);
  job.clients.push_back(request.id);
  add_job(std::move(job));
}

// From the register, or from the job that runs. True when the request is cared for.
bool Caretaker::answer_known(RequestId id, const Execute& execute, std::uint64_t print) {
  const auto job = jobs_.find(execute.txn);
  if (job != jobs_.end()) {
    if (job->second.prepare || job->second.fingerprint != print) {
      fail_client(id, ErrorCode::refused, "this id is in use with other content; choose a new one");
    } else if (job->second.clients.size() >= options_.waiters_max) {
      fail_client(id, ErrorCode::busy, too_many_wait);
    } else {
      job->second.clients.push_back(id);
    }
    return true;
  }
  const FinishedTxn* finished = shard_->finished(execute.txn);
  if (finished == nullptr && shard_->prepared(execute.txn) == nullptr) {
    const bool in_log = finishes_in_log_.contains(execute.txn) || seals_in_log_.contains(execute.txn);
    if (in_log) fail_client(id, ErrorCode::busy, "this id is being sealed; ask for its outcome");
    return in_log;
  }
  const bool other = finished == nullptr || (finished->fingerprint != 0 && finished->fingerprint != print);
  tell(id, other ? aborted(execute.txn, refusal(AbortReason::reused_id, "this id was already used with other content"))
                 : outcome_of(execute.txn));
  return true;
}

// An idle log's last stamp lies in the past, so that an id of today seems ahead of it. Judged again once an entry of
// now has brought its stamp.
void Caretaker::hold_back(const ClientRequest& request) {
  if (held_.size() >= options_.jobs_max) return fail_client(request.id, ErrorCode::busy, "too many requests wait");
  held_.push_back(request);
  propose_tidy();
}

void Caretaker::judge_held() {
  for (const ClientRequest& one : std::exchange(held_, {})) {
    const auto* execute = std::get_if<Execute>(&one.body);
    const TxnId txn = execute != nullptr ? execute->txn : std::get<GetOutcome>(one.body).txn;
    if (shard_->too_new(txn)) {
      fail_client(one.id, ErrorCode::too_old, too_new_message);
    } else {
      request(one);
    }
  }
}

// ---- queries
// ---------------------------------------------------------------------------------------------------------

// A query is answered from a state that the leader had after the query came (the barrier), in which no prepared
// transaction holds what it reads: a prepared one may be committed and told, though its rows still show the time
// before.
//
// If some are in the way it waits for them, and for the proposals that may become prepared; to keep others from taking
// their place for ever it holds what it reads, so that new writers wait for it as for a lock. It must not wait for
// later ones instead, nor run past them: a later one may be committed and told before a still later one that the rows
// already show. The hold ends after query_hold_ticks, in case those that it waits for wait elsewhere for one that it
// holds up.
void Caretaker::query(const ClientRequest& request, const Query& query) {
  if (query.work.empty()) return fail_client(request.id, ErrorCode::malformed, "the query asks nothing");
  if (queries_.size() >= options_.queries_max) {
    return fail_client(request.id, ErrorCode::busy, "the shard has as many queries as it may; try again");
  }
  if (gathering_.none()) {
    gathering_ = ReadId(++read_counter_);
    output_.read.push_back(gathering_);
  }
  const TxnId key = query_key(++query_counter_);
  queries_.emplace(
      key,
      Read{.client = request.id, .query = query, .waiting_for = {}, .deadline = now_ + options_.query_timeout_ticks});
  queries_due_.set(key, now_ + options_.query_timeout_ticks);
  barriers_[gathering_].push_back(key);
}

Result<QueryAnswer> Caretaker::query_stale(const Query& query, std::vector<TxnId>& in_the_way) const {
  return assent::query_stale(*shard_, *resources_, query.work, in_the_way);
}

void Caretaker::read_ready(ReadId id) {
  const auto found = barriers_.find(id);
  if (found == barriers_.end()) return;
  const std::vector<TxnId> keys = std::move(found->second);
  barriers_.erase(found);
  for (const TxnId& key : keys) {
    if (queries_.contains(key)) run_query(key);
  }
}

void Caretaker::read_lost(ReadId id) {
  const auto found = barriers_.find(id);
  if (found == barriers_.end()) return;
  const std::vector<TxnId> keys = std::move(found->second);
  barriers_.erase(found);
  for (const TxnId& key : keys) {
    const auto read = queries_.find(key);
    if (read == queries_.end()) continue;
    fail_client(read->second.client, ErrorCode::not_leader,
                "the shard's leader could not confirm that it leads; ask again");
    end_query(key);
  }
}

void Caretaker::run_query(const TxnId& key) {
  Read& read = queries_.at(key);
  auto evaluated = read.query.rehearse ? resources_->evaluate(read.query.work) : resources_->query(read.query.work);
  if (!evaluated) return refuse_query(key, evaluated.error());
  std::vector<LockRequest>& locks = evaluated->effects.locks;
  if (read.query.rehearse) locks = as_reads(std::move(locks));
  if (read.query.unchanged_since) return answer_validation(key, locks);
  std::vector<TxnId> in_the_way = shard_->locks().conflicts(locks, key);
  if (in_the_way.empty() || planted(Bug::read_ignores_prepared)) return answer_query(key, std::move(*evaluated));
  const std::vector<TxnId> reserved = reservations_.conflicts(locks, key);
  in_the_way.insert(in_the_way.end(), reserved.begin(), reserved.end());
  for (const TxnId& txn : in_the_way) {
    if (read.waiting_for.insert(txn).second) watch(txn, key);
  }
  holds_.acquire(key, locks);
  queries_due_.set(key, std::min(read.deadline, now_ + options_.query_hold_ticks));
}

void Caretaker::answer_query(const TxnId& key, Evaluation evaluation) {
  const Read& read = queries_.at(key);
  QueryAnswer answer{.result = std::move(evaluation.result), .at = shard_->applied()};
  if (read.query.rehearse) {
    for (const OperationResult& result : answer.result) answer.digests.push_back(assent::digest(result));
  }
  output_.reply.push_back(ClientReply{.id = read.client, .answer = ClientAnswer(std::move(answer))});
  end_query(key);
}

// The second half of a read of several shards: all of them were read before any is asked this. When none says
// "changed", every one of them held what was read at the moment between. Whoever wrote something of it and was decided
// by that moment was applied here before the read, or it is applied or prepared by now, and seen. (Work is a function
// of what it reads, so what it would lock now is what it read then, as long as nothing of it has changed.)
void Caretaker::answer_validation(const TxnId& key, const std::vector<LockRequest>& locks) {
  const Read& read = queries_.at(key);
  const bool in_doubt = !shard_->locks().free(locks, key) && !planted(Bug::read_ignores_prepared);
  QueryAnswer answer{.result = {}, .at = shard_->applied()};
  answer.changed = in_doubt || !changes_.unchanged_since(locks, *read.query.unchanged_since);
  output_.reply.push_back(ClientReply{.id = read.client, .answer = ClientAnswer(std::move(answer))});
  end_query(key);
}

// What is refused by the state of the shard may only be early, as a job (on_refusal).
void Caretaker::refuse_query(const TxnId& key, const Refusal& refusal) {
  Read& read = queries_.at(key);
  if (read.query.unchanged_since && refusal.reason == AbortReason::conflict) {  // it answers something else
    QueryAnswer answer{.result = {}, .at = shard_->applied()};
    answer.changed = true;
    output_.reply.push_back(ClientReply{.id = read.client, .answer = ClientAnswer(std::move(answer))});
    return end_query(key);
  }
  const std::vector<TxnId> holding = by_state(refusal) && !read.settled ? shard_->holding() : std::vector<TxnId>();
  if (holding.empty() || holding.size() > options_.settle_max) {
    fail_client(read.client, code_of(refusal.reason), refusal.message);
    return end_query(key);
  }
  read.settled = true;
  for (const TxnId& txn : holding) {
    if (read.waiting_for.insert(txn).second) watch(txn, key);
  }
  queries_due_.set(key, read.deadline);
}

// First the query, then those that it kept waiting.
void Caretaker::run_query_again(const TxnId& key) {
  const std::vector<LockRequest> held = holds_.release(key);
  run_query(key);
  wake(held);
}

void Caretaker::end_query(const TxnId& key) {
  queries_.erase(key);
  queries_due_.erase(key);
}

void Caretaker::tick_queries() {
  while (const auto due = queries_due_.pop(now_)) {
    const Read& read = queries_.at(*due);
    const std::vector<LockRequest> held = holds_.release(*due);
    if (now_ < read.deadline) {
      queries_due_.set(*due, read.deadline);
    } else {
      std::string message =
          read.waiting_for.empty()
              ? "the shard could not confirm in time that it leads; ask again"
              : fmt::format("{} is in doubt and holds what the query reads; ask again", *read.waiting_for.begin());
      fail_client(read.client, ErrorCode::busy, std::move(message));
      end_query(*due);
    }
    wake(held);
  }
}

// ---- outcomes
// --------------------------------------------------------------------------------------------------------

void Caretaker::get_outcome(const ClientRequest& request, const GetOutcome& ask) {
  if (ask.txn.none()) return fail_client(request.id, ErrorCode::malformed, "the transaction has no id");
  const TxnAnswer known = outcome_of(ask.txn);
  const bool final =
      known.state == TxnState::committed || known.state == TxnState::aborted || known.state == TxnState::expired;
  const bool seal_now = known.state == TxnState::unknown && ask.seal;
  if (final || (!seal_now && (known.state == TxnState::unknown || ask.wait_ticks == 0))) {
    return tell(request.id, known);
  }
  if (seal_now && shard_->too_new(ask.txn)) return hold_back(request);
  std::set<RequestId>& others = askers_of_[ask.txn];
  if (others.size() >= options_.waiters_max) return fail_client(request.id, ErrorCode::busy, too_many_wait);
  others.insert(request.id);
  askers_.emplace(request.id, Asker{.id = request.id, .txn = ask.txn, .seal = ask.seal});
  askers_due_.set(request.id, now_ + std::max<std::uint64_t>(1, std::min(ask.wait_ticks, options_.wait_ticks_max)));
  if (seal_now) propose_seal(ask.txn);
}

TxnAnswer Caretaker::outcome_of(const TxnId& txn) const {
  TxnAnswer answer;
  answer.txn = txn;
  if (const FinishedTxn* finished = shard_->finished(txn)) {
    answer.protocol = finished->protocol;
    answer.decided_at = finished->finished_at;
    answer.state = finished->outcome == Outcome::committed ? TxnState::committed : TxnState::aborted;
    answer.refusal = finished->refusal();
    answer.participants = finished->participants;
    if (finished->protocol != Protocol::one_phase) return answer;
    if (const Bill* bill = bills_.find(txn)) answer.bill = *bill;
    answer.participants = {options_.self};
    if (answer.state == TxnState::committed && !finished->result_dropped) {
      answer.results.push_back(BranchResult{options_.self, finished->result()});
    }
  } else if (const PreparedTxn* prepared = shard_->prepared(txn)) {
    answer.protocol = prepared->protocol;
    answer.state = TxnState::prepared;
    answer.participants = prepared->participants;
  } else if (const auto job = jobs_.find(txn); job != jobs_.end()) {
    answer.protocol = job->second.prepare ? job->second.prepare->protocol : Protocol::one_phase;
    answer.state = TxnState::running;
  } else if (shard_->too_old(txn)) {
    answer.state = TxnState::expired;
  }
  return answer;
}

void Caretaker::propose_seal(const TxnId& txn) {
  if (!seals_in_log_.insert(txn).second) return;
  output_.propose.emplace_back(SealWork{.txn = txn});
}

// Something about the transaction changed: those who ask hear of it if it is an outcome, or if nothing runs any more.
void Caretaker::answer_askers(const TxnId& txn) {
  const auto found = askers_of_.find(txn);
  if (found == askers_of_.end()) return;
  const TxnAnswer answer = outcome_of(txn);
  if (answer.state == TxnState::prepared || answer.state == TxnState::running) return;
  const std::set<RequestId> ids = found->second;
  for (const RequestId id : ids) {
    if (answer.state == TxnState::unknown && askers_.at(id).seal) {
      propose_seal(txn);
      continue;
    }
    drop_asker(id);
    tell(id, answer);
  }
}

void Caretaker::fail_askers(const TxnId& txn, const Error& error) {
  const auto found = askers_of_.find(txn);
  if (found == askers_of_.end()) return;
  const std::set<RequestId> ids = found->second;
  for (const RequestId id : ids) {
    drop_asker(id);
    fail_client(id, error.code, error.message);
  }
}

void Caretaker::drop_asker(RequestId id) {
  const auto found = askers_.find(id);
  const auto others = askers_of_.find(found->second.txn);
  others->second.erase(id);
  if (others->second.empty()) askers_of_.erase(others);
  askers_due_.erase(id);
  askers_.erase(found);
}

void Caretaker::tick_askers() {
  while (const auto due = askers_due_.pop(now_)) {
    const Asker asker = askers_.at(*due);
    if (seals_in_log_.contains(asker.txn)) {
      askers_due_.set(*due, now_ + options_.resend_ticks);  // the log's word is on its way: it must be heard
      continue;
    }
    drop_asker(*due);
    tell(asker.id, outcome_of(asker.txn));
  }
}

TxnAnswer Caretaker::aborted(const TxnId& txn, Refusal refusal) const {
  TxnAnswer answer;
  answer.txn = txn;
  answer.state = TxnState::aborted;
  answer.protocol = Protocol::one_phase;
  answer.refusal = std::move(refusal);
  return answer;
}

void Caretaker::tell(RequestId client, const TxnAnswer& answer) {
  output_.reply.push_back(ClientReply{.id = client, .answer = ClientAnswer(answer)});
}

void Caretaker::fail_client(RequestId client, ErrorCode code, std::string message) {
  output_.reply.push_back(ClientReply{.id = client, .answer = fail(code, std::move(message))});
}

}  // namespace assent
