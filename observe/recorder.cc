#include "observe/recorder.h"

#include <algorithm>
#include <limits>
#include <utility>
#include <variant>

namespace assent {
namespace {

constexpr std::size_t passes_max = 64;
constexpr std::size_t disk_batches_max = 256;
constexpr std::size_t batches_max = 10'000;

std::uint32_t short_of(std::uint64_t from, std::uint64_t to) {
  const std::uint64_t micros = to - std::min(from, to);
  return static_cast<std::uint32_t>(std::min<std::uint64_t>(micros, std::numeric_limits<std::uint32_t>::max()));
}

// Whatever names one transaction.
template <class Message>
[[maybe_unused]] constexpr bool names_txn = requires(const Message& message) {
  { message.txn } -> std::convertible_to<TxnId>;
};

}  // namespace

Recorder::Recorder(const RecorderOptions& options, const Clock& clock)
    : options_(options), clock_(clock), latencies_(options.ring) {
  recording_ = options_.ring > 0;
  ring_.reserve(options_.ring);
}

// ---- the ring ----

const TxnRecord* Recorder::find(const TxnId& txn) const {
  const auto found = places_.find(txn);
  return found == places_.end() ? nullptr : &ring_[found->second];
}

TxnRecord* Recorder::known(const TxnId& txn) {
  const auto found = places_.find(txn);
  return found == places_.end() ? nullptr : &ring_[found->second];
}

void Recorder::visit(const std::function<bool(const TxnRecord&)>& visit) const {
  for (std::size_t i = 0; i < ring_.size(); ++i) {
    const std::size_t place = (next_ + ring_.size() - 1 - i) % ring_.size();
    if (!visit(ring_[place])) return;
  }
}

std::size_t Recorder::free_place() {
  if (ring_.size() < options_.ring) {
    ring_.emplace_back();
    return ring_.size() - 1;
  }
  if (next_ >= ring_.size()) next_ = 0;
  for (std::size_t passes = 0; passes < passes_max && !is_over(ring_[next_]); ++passes) {
    next_ = (next_ + 1) % ring_.size();
  }
  if (!is_over(ring_[next_])) ++figures_.records_dropped;
  places_.erase(ring_[next_].txn);
  return next_;
}

TxnRecord* Recorder::record_of(const TxnId& txn) {
  if (TxnRecord* record = known(txn)) return record;
  if (!recording_) return nullptr;
  const std::size_t place = free_place();
  next_ = place + 1;
  TxnRecord& record = ring_[place];
  TxnRecord fresh;
  fresh.steps.swap(record.steps);  // their memory is used again
  fresh.participants.swap(record.participants);
  fresh.steps.clear();
  fresh.participants.clear();
  record = std::move(fresh);
  record.txn = txn;
  record.wall_offset = wall_offset_;
  places_.emplace(txn, place);
  return &record;
}

void Recorder::belongs(TxnRecord& record, const Bytes& trace) {
  if (trace.empty() || record.caller) return;
  record.caller = trace_from_bytes(trace);
  if (!record.caller) ++figures_.traces_malformed;
}

TxnStep* Recorder::note(TxnRecord& record, const Event& event, bool* fresh) {
  record.changed = ++changes_;
  for (TxnStep& one : record.steps) {
    if (one.step != event.step || one.at != event.at || one.peer != event.peer) continue;
    if (one.repeats < std::numeric_limits<std::uint16_t>::max()) ++one.repeats;
    if (fresh != nullptr) *fresh = false;
    return &one;
  }
  if (fresh != nullptr) *fresh = true;
  if (record.steps.size() >= options_.steps_max) {
    ++record.steps_lost;
    ++figures_.steps_lost;
    return nullptr;
  }
  TxnStep& made = record.steps.emplace_back();
  made.micros = now();
  made.at = event.at;
  made.peer = event.peer;
  made.step = event.step;
  made.yes = event.yes;
  return &made;
}

Recorder::GroupState& Recorder::group(GroupId at) {
  GroupState& state = groups_[at];
  if (state.figures == nullptr) state.figures = &figures_.groups[at];
  return state;
}

// ---- what comes in ----

void Recorder::requested(GroupId at, const ClientRequest& request) {
  const auto waited = arrived_.find(request.id);
  const std::uint64_t arrived = waited == arrived_.end() ? 0 : waited->second;
  if (waited != arrived_.end()) arrived_.erase(waited);
  const auto* execute = std::get_if<Execute>(&request.body);
  if (execute == nullptr) return;
  const bool again = known(execute->txn) != nullptr;
  TxnRecord* record = record_of(execute->txn);
  if (record == nullptr) {
    if (!again) ++figures_of(effective_protocol(*execute)).started;
    return;
  }
  asked_[request.id] = execute->txn;
  bool fresh = false;
  TxnStep* step = note(*record, {Step::asked, at}, &fresh);
  if (!fresh || step == nullptr) return;
  step->turn = group(at).turn;
  if (arrived != 0) step->queued = short_of(arrived, step->micros);
  record->protocol = effective_protocol(*execute);
  record->coordinator = at;
  record->mode = execute->mode;
  belongs(*record, execute->trace);
  record->participants.clear();
  for (const Branch& branch : execute->branches) {
    record->participants.push_back(branch.shard);
    if (branch.service) record->services.push_back(branch.service->at);
  }
  list_begun(execute->txn);
  if (again) return;  // this group runs what it heard of before, as another group
  ++figures_of(record->protocol).started;
  figures_.participants.add(execute->branches.size());
}

// What a leader hears of who did not see it begin.
template <class Message>
void Recorder::learn(TxnRecord& record, const Message& message, GroupId coordinator, GroupId participant) {
  belongs(record, message.trace);
  std::vector<GroupId>& all = record.participants;
  if (std::find(all.begin(), all.end(), participant) == all.end()) all.push_back(participant);
  if (!record.coordinator.none()) return;
  record.coordinator = coordinator;
  record.protocol = message.protocol;
}

void Recorder::received(GroupId at, GroupId from, const TxnMessage& message) {
  std::visit(
      [&](const auto& one) {
        if constexpr (requires { on(at, from, one); }) on(at, from, one);
      },
      message);
}

void Recorder::on(GroupId at, GroupId from, const Prepare& prepare) {
  TxnRecord* record = record_of(prepare.txn);
  if (record == nullptr) return;
  bool fresh = false;
  TxnStep* step = note(*record, {Step::prepare_heard, at, from}, &fresh);
  if (!fresh || step == nullptr) return;
  step->turn = group(at).turn;
  belongs(*record, prepare.trace);
  record->protocol = prepare.protocol;
  record->coordinator = prepare.coordinator;
  record->participants = prepare.participants;
}

void Recorder::on(GroupId at, GroupId from, const Vote& vote) {
  const bool service = is_service(from);
  bool fresh = true;
  if (TxnRecord* record = record_of(vote.txn)) {
    note(*record, {Step::vote_heard, at, from, vote.yes}, &fresh);
    learn(*record, vote, at, from);
  }
  if (!fresh) return;
  ++(service ? (vote.yes ? figures_.service_votes_yes : figures_.service_votes_no)
             : (vote.yes ? figures_.votes_yes : figures_.votes_no));
}

void Recorder::on(GroupId at, GroupId from, const Finish& finish) {
  TxnRecord* record = record_of(finish.txn);
  if (record == nullptr) return;
  note(*record, {Step::finish_heard, at, from, finish.commit});
  belongs(*record, finish.trace);
}

void Recorder::on(GroupId at, GroupId from, const Finished& finished) {
  TxnRecord* record = known(finished.txn);
  if (record == nullptr) return;
  bool fresh = false;
  note(*record, {Step::finished_heard, at, from, finished.commit}, &fresh);
  if (fresh) count_finished(at, *record);
}

void Recorder::on(GroupId at, GroupId from, const Inquire& inquire) {
  TxnRecord* record = record_of(inquire.txn);
  if (record == nullptr) return;
  note(*record, {Step::inquired, at, from});
  learn(*record, inquire, at, from);
}

void Recorder::on(GroupId at, GroupId from, const BallotRequest& request) {
  if (request.only_looks()) return;
  if (TxnRecord* record = record_of(request.txn)) {
    note(*record, {Step::ballot_asked, at, from, request.value == Outcome::committed});
  }
}

void Recorder::on(GroupId at, GroupId from, const BallotReply& reply) {
  if (reply.value == Outcome::none) return;
  if (TxnRecord* record = known(reply.txn)) {
    note(*record, {Step::ballot_heard, at, from, reply.value == Outcome::committed});
  }
}

// ---- the log ----

void Recorder::note_applied(TxnRecord* record, const Event& event, Index index) {
  if (record == nullptr) return;
  bool fresh = false;
  TxnStep* step = note(*record, event, &fresh);
  if (!fresh || step == nullptr) return;
  step->index = index;
  GroupState& state = group(event.at);
  while (!state.batches.empty() && state.batches.front().last < index) state.batches.pop_front();
  if (state.batches.empty()) return;  // an earlier leader's
  const Batch& batch = state.batches.front();
  state.figures->proposal.add(step->micros - std::min(step->micros, batch.appended));
  step->applied = short_of(batch.appended, step->micros);
  for (auto disk = disk_.rbegin(); disk != disk_.rend(); ++disk) {
    if (disk->ticket != batch.ticket) continue;
    step->queued = short_of(batch.appended, disk->submitted);
    if (disk->synced != 0) step->synced = short_of(disk->submitted, disk->synced);
    step->applied = short_of(std::max(disk->submitted, disk->synced), step->micros);
    return;
  }
}

void Recorder::applied(GroupId at, Index index, const CoordinatorCommand& command) {
  if (const auto* begin = std::get_if<BeginTxn>(&command)) {
    return note_applied(record_of(begin->txn), {Step::begin_applied, at}, index);
  }
  if (const auto* decide = std::get_if<Decide>(&command)) {
    return note_applied(record_of(decide->txn), {Step::decision_applied, at, {}, true}, index);
  }
  if (const auto* seal = std::get_if<SealOutcome>(&command)) {
    return note_applied(record_of(seal->txn), {Step::decision_applied, at}, index);
  }
  if (const auto* ballot = std::get_if<BallotWork>(&command)) {
    note_applied(record_of(ballot->txn), {Step::ballot_applied, at, {}, ballot->value == Outcome::committed}, index);
  }
}

void Recorder::applied(GroupId at, Index index, const ShardCommand& command) {
  if (const auto* prepare = std::get_if<PrepareWork>(&command)) {
    return note_applied(record_of(prepare->txn), {Step::vote_applied, at, {}, true}, index);
  }
  if (const auto* refuse = std::get_if<RefuseWork>(&command)) {
    return note_applied(record_of(refuse->txn), {Step::vote_applied, at}, index);
  }
  if (const auto* execute = std::get_if<ExecuteWork>(&command)) {
    const bool yes = execute->refusal.reason == AbortReason::none;
    return note_applied(record_of(execute->txn), {Step::vote_applied, at, {}, yes}, index);
  }
  if (const auto* finish = std::get_if<FinishWork>(&command)) {
    TxnRecord* record = record_of(finish->txn);
    note_applied(record, {Step::finish_applied, at, {}, finish->commit}, index);
    if (record != nullptr && record->outcome == Outcome::none) {
      record->outcome = finish->commit ? Outcome::committed : Outcome::aborted;
    }
    return;
  }
  if (const auto* seal = std::get_if<SealWork>(&command)) {
    TxnRecord* record = record_of(seal->txn);
    note_applied(record, {Step::sealed, at}, index);
    // An empty register was filled with a no, so it never commits; one that was full says so by other steps.
    const bool voted = record != nullptr && first_step(*record, Step::vote_applied, at) != nullptr;
    if (record != nullptr && !voted && record->outcome == Outcome::none) record->outcome = Outcome::aborted;
    return;
  }
  if (const auto* force = std::get_if<OverrideWork>(&command)) {
    ++(force->commit ? figures_.forced_commits : figures_.forced_aborts);
    return note_applied(record_of(force->txn), {Step::forced, at, {}, force->commit}, index);
  }
  if (std::holds_alternative<ForgetOverride>(command)) {
    ++figures_.forced_forgotten;
    return;
  }
  if (const auto* ballot = std::get_if<BallotWork>(&command)) {
    note_applied(record_of(ballot->txn), {Step::ballot_applied, at, {}, ballot->value == Outcome::committed}, index);
  }
}

void Recorder::refused(GroupId at) { ++group(at).figures->proposals_refused; }

void Recorder::appended(GroupId at, Index, Index last, Wal::Ticket ticket) {
  GroupState& state = group(at);
  if (state.batches.size() >= batches_max) state.batches.pop_front();
  state.batches.push_back({last, ticket, now()});
}

void Recorder::resigned(GroupId at) {
  group(at).batches.clear();
  std::erase_if(asked_, [&](const auto& one) {  // whom the group answers in the driver's place
    const TxnRecord* record = find(one.second);
    return record == nullptr || record->coordinator == at;
  });
}

void Recorder::submitted(Wal::Ticket ticket) {
  if (disk_.size() >= disk_batches_max) disk_.pop_front();
  disk_.push_back({ticket, now(), 0});
}

void Recorder::synced(Wal::Ticket ticket) {
  const std::uint64_t at = now();
  for (auto disk = disk_.rbegin(); disk != disk_.rend(); ++disk) {
    if (disk->ticket >> ticket_loop_shift != ticket >> ticket_loop_shift) continue;  // of another log
    if (disk->synced != 0) break;
    if (disk->ticket > ticket) continue;
    disk->synced = at;
    figures_.wal_sync.add(at - std::min(at, disk->submitted));
  }
}

// ---- what goes out ----

void Recorder::proposed(GroupId at, const CoordinatorCommand& command) {
  ++group(at).figures->proposals;
  if (const auto* begin = std::get_if<BeginTxn>(&command)) {
    if (TxnRecord* record = record_of(begin->txn)) note(*record, {Step::begin_proposed, at});
  } else if (const auto* decide = std::get_if<Decide>(&command)) {
    if (TxnRecord* record = record_of(decide->txn)) note(*record, {Step::decision_proposed, at, {}, true});
  } else if (const auto* seal = std::get_if<SealOutcome>(&command)) {
    if (TxnRecord* record = record_of(seal->txn)) note(*record, {Step::decision_proposed, at});
  }
}

void Recorder::proposed(GroupId at, const ShardCommand& command) {
  ++group(at).figures->proposals;
  const auto vote = [&](const TxnId& txn, bool yes) {
    TxnRecord* record = known(txn);
    if (record == nullptr) return;
    bool fresh = false;
    TxnStep* step = note(*record, {Step::vote_proposed, at, {}, yes}, &fresh);
    if (fresh && step != nullptr) count_wait(at, *record, *step);
  };
  if (const auto* prepare = std::get_if<PrepareWork>(&command)) return vote(prepare->txn, true);
  if (const auto* refuse = std::get_if<RefuseWork>(&command)) return vote(refuse->txn, false);
  if (const auto* execute = std::get_if<ExecuteWork>(&command)) {
    return vote(execute->txn, execute->refusal.reason == AbortReason::none);
  }
  if (const auto* finish = std::get_if<FinishWork>(&command)) {
    TxnRecord* record = record_of(finish->txn);
    if (record == nullptr) return;
    note(*record, {Step::finish_proposed, at, {}, finish->commit});
    // Nobody told it: the shards in doubt found out by themselves.
    if (first_step(*record, Step::finish_heard, at) == nullptr) carried_on(*record, finish->commit);
  }
}

// Work that found its locks free is proposed in the turn in which it came.
void Recorder::count_wait(GroupId at, const TxnRecord& record, TxnStep& proposed) {
  const TxnStep* came = first_step(record, Step::prepare_heard, at);
  if (came == nullptr) came = first_step(record, Step::asked, at);
  GroupState& state = group(at);
  if (came == nullptr || came->turn == state.turn) return;
  ++state.figures->waits;
  state.figures->lock_wait.add(proposed.micros - std::min(proposed.micros, came->micros));
  proposed.queued = short_of(came->micros, proposed.micros);
}

void Recorder::sent(GroupId at, GroupId to, const TxnMessage& message) {
  const auto note_sent = [&](const TxnId& txn, Step step, bool yes) {
    if (TxnRecord* record = record_of(txn)) note(*record, {step, at, to, yes});
  };
  if (const auto* prepare = std::get_if<Prepare>(&message)) return note_sent(prepare->txn, Step::prepare_sent, false);
  if (const auto* vote = std::get_if<Vote>(&message)) {
    TxnRecord* record = record_of(vote->txn);
    if (record == nullptr) return;
    note(*record, {Step::vote_sent, at, to, vote->yes});
    return learn(*record, *vote, to, at);
  }
  if (const auto* finished = std::get_if<Finished>(&message)) {
    return note_sent(finished->txn, Step::finished_sent, finished->commit);
  }
  if (const auto* ballot = std::get_if<BallotRequest>(&message)) {
    if (ballot->value != Outcome::none) note_sent(ballot->txn, Step::ballot_sent, ballot->value == Outcome::committed);
    return;
  }
  const auto* finish = std::get_if<Finish>(&message);
  if (finish == nullptr) return;
  TxnRecord* record = record_of(finish->txn);
  if (record == nullptr) return;
  bool fresh = false;
  note(*record, {Step::finish_sent, at, to, finish->commit}, &fresh);
  learn(*record, *finish, at, to);
  if (record->outcome == Outcome::none) record->outcome = finish->commit ? Outcome::committed : Outcome::aborted;
  if (fresh && first_step(*record, Step::asked, at) == nullptr) carried_on(*record, finish->commit);
}

// By a leader that had not begun it.
void Recorder::carried_on(TxnRecord& record, bool commit) {
  if (std::exchange(record.recovered, true)) return;
  list_begun(record.txn);
  ++(commit ? figures_.recovered_commits : figures_.recovered_aborts);
}

void Recorder::replied(GroupId at, const ClientReply& reply) {
  if (!reply.answer && reply.answer.error().code == ErrorCode::unknown_outcome) ++figures_.outcome_unknown;
  const auto asked = asked_.find(reply.id);
  if (asked == asked_.end()) return;
  const TxnId txn = asked->second;
  asked_.erase(asked);
  TxnRecord* record = known(txn);
  const auto* answer = reply.answer ? std::get_if<TxnAnswer>(&*reply.answer) : nullptr;
  if (record != nullptr && answer != nullptr) answered(at, *record, *answer);
}

void Recorder::answered(GroupId at, TxnRecord& record, const TxnAnswer& answer) {
  const bool committed = answer.state == TxnState::committed;
  if (!committed && answer.state != TxnState::aborted) return;
  bool fresh = false;
  note(record, {Step::answered, at, {}, committed}, &fresh);
  record.outcome = committed ? Outcome::committed : Outcome::aborted;
  if (!committed) {
    record.reason = answer.refusal.reason;
    record.refused_by = answer.refusal.participant;
    record.message = answer.refusal.message.substr(0, options_.message_bytes_max);
  }
  if (fresh) count_answer(at, record);
}

void Recorder::list_begun(const TxnId& txn) {
  if (options_.begun_max == 0) return;
  if (begun_.size() < options_.begun_max) {
    begun_.push_back(txn);
  } else {
    ++figures_.begun_not_listed;
  }
}

void Recorder::count_answer(GroupId at, TxnRecord& record) {
  const bool committed = record.outcome == Outcome::committed;
  if (!committed) ++figures_.aborted[static_cast<std::size_t>(record.reason)];
  const std::optional<PhaseSpans> spans = phases_of(record, at);
  if (!spans || !spans->answered) return;
  ProtocolFigures& figures = figures_of(record.protocol);
  (committed ? figures.committed : figures.aborted).add(*spans->answered - spans->began);
  LatencySample sample;
  sample.started = static_cast<std::int64_t>(spans->began) + record.wall_offset;
  sample.total = short_of(spans->began, *spans->answered);
  for (const PhaseSpan& phase : spans->phases) {
    if (phase.phase == TxnPhase::commit || phase.phase == TxnPhase::abort || !phase.to) continue;
    figures.phases[static_cast<std::size_t>(phase.phase)].add(*phase.to - phase.from);
    sample.phases[static_cast<std::size_t>(phase.phase)] = short_of(phase.from, *phase.to);
  }
  record.sample = latencies_.add(sample);
}

void Recorder::count_finished(GroupId at, const TxnRecord& record) {
  const TxnStep* sent = first_step(record, Step::finish_sent, at);
  const TxnStep* heard = last_step(record, Step::finished_heard, at);
  if (sent == nullptr || heard == nullptr) return;
  if (count_steps(record, Step::finished_heard, at) != count_steps(record, Step::finish_sent, at)) return;
  const TxnPhase phase = sent->yes ? TxnPhase::commit : TxnPhase::abort;
  figures_of(record.protocol).phases[static_cast<std::size_t>(phase)].add(heard->micros - sent->micros);
  if (LatencySample* sample = latencies_.find(record.sample)) {
    sample->phases[static_cast<std::size_t>(phase)] = short_of(sent->micros, heard->micros);
  }
}

void Recorder::turned(GroupId at) { ++group(at).turn; }

}  // namespace assent
