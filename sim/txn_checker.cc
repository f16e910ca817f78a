#include "sim/txn_checker.h"

#include <algorithm>
#include <utility>

namespace assent::sim {
namespace {

using State = Register::State;

template <class... Ts>
struct Overloaded : Ts... {
  using Ts::operator()...;
};
template <class... Ts>
Overloaded(Ts...) -> Overloaded<Ts...>;

std::string words(const Attempt& attempt) { return fmt::format("({}, {})", attempt.epoch, attempt.number); }

// Reasons for which a transaction is refused before any log hears of it, and would be refused the same way again.
bool refused_at_the_door(AbortReason reason) {
  return reason == AbortReason::too_large || reason == AbortReason::invalid || reason == AbortReason::too_old;
}

// Two-phase finishes an attempt; the others, what was voted on.
bool finishes_vote(const FinishWork& finish, const Register& vote) {
  if (finish.protocol != vote.protocol) return false;
  return by_content(vote.protocol) ? finish.fingerprint == vote.fingerprint : finish.attempt == vote.attempt;
}

// A transaction past its retention may be forgotten by the very entry that finishes it: what was finished is then known
// from the command, and judged by the books in the end.
Register finished_and_forgotten(const FinishWork& finish, const Register& before, const Register& after) {
  if (before.state != State::prepared || after.state != State::empty || !finishes_vote(finish, before)) return after;
  Register finished = before;
  finished.state = finish.commit ? State::committed : State::aborted;
  return finished;
}

}  // namespace

std::string_view to_string(State state) {
  switch (state) {
    case State::empty: return "empty";
    case State::prepared: return "prepared";
    case State::committed: return "committed";
    case State::aborted: return "aborted";
  }
  return "?";
}

void TxnChecker::wrong(const TxnId& txn, std::string_view rule, const std::string& what) {
  recorder_.wrong(fmt::format("{}: transaction {} {}", rule, txn, what));
}

void TxnChecker::invoked(const Execute& execute) {
  Fate& fate = fates_[execute.txn];
  const TxnId age = execute.age.none() ? execute.txn : execute.age;
  if (!fate.participants.empty()) {
    if (fate.age != age) fate.age.reset();
    return;
  }
  fate.age = age;
  for (const Branch& branch : execute.branches) {
    fate.participants.push_back(branch.shard);
    if (is_retriable(branch)) fate.retriable.insert(branch.shard);
  }
  fate.recorded = is_recorded(execute.mode);
  fate.fingerprint = fingerprint(execute);
}

// Who dies for a holder is younger than it: by age, then id.
void TxnChecker::judge_age(const TxnId& txn, const Refusal& refusal) {
  if (refusal.reason != AbortReason::conflict || refusal.message.find("which is older") == std::string::npos) return;
  const Fate* own = find(txn);
  const Fate* holder = find(refusal.holder);
  if (own == nullptr || holder == nullptr || !own->age || !holder->age) return;
  if (std::pair(*holder->age, refusal.holder) < std::pair(*own->age, txn)) return;
  wrong(txn, "wait-die", fmt::format("dies for {}, which is younger than it", refusal.holder));
}

void TxnChecker::commits(const TxnId& txn, Fate& fate, const Attempt& attempt, const Entry& entry) {
  if (fate.decided) wrong(txn, "A8 at most once", fmt::format("commits again at index {}", entry.index));
  fate.decided = attempt;
  fate.decided_at = entry.stamp.value;
  if (fate.no) wrong(txn, "A2 stability", "commits although " + *fate.no);
  if (fate.told == Outcome::aborted) wrong(txn, "A6 honest answer", "commits after " + fate.told_by + " said aborted");
}

void TxnChecker::forbids(const TxnId& txn, Fate& fate, const std::string& what) {
  if (fate.committed()) wrong(txn, "A1 agreement", "is committed, but " + what);
  if (!fate.no) fate.no = what;
}

void TxnChecker::decides(const Entry& entry, const Decide& decide) {
  Fate& fate = fates_[decide.txn];
  if (entry.epoch != decide.attempt.epoch) return;  // fenced off, whatever it says
  if (fate.registers.contains(coordinator_)) return;
  if (fate.committed()) return;  // the machine ignores it too: the digests say so
  for (const GroupId participant : decide.participants) {
    if (fate.retriable.contains(participant)) continue;
    const Register& vote = fate.registers[participant];
    if (vote.state != State::prepared || vote.attempt != decide.attempt) {
      wrong(decide.txn, "A3 validity",
            fmt::format("is decided under attempt {} while its register at group {} is {} under {}",
                        words(decide.attempt), participant, to_string(vote.state), words(vote.attempt)));
    }
  }
  if (!fate.participants.empty() &&
      (fate.participants != decide.participants || fate.fingerprint != decide.fingerprint)) {
    wrong(decide.txn, "A3 validity", "is decided with other participants or content than the client sent");
  }
  commits(decide.txn, fate, decide.attempt, entry);
}

void TxnChecker::seals(const SealOutcome& seal) {
  Fate& fate = fates_[seal.txn];
  if (fate.committed()) return;  // it stays committed
  fate.registers[coordinator_] = Register{State::aborted, {}};
  forbids(seal.txn, fate, "its coordinator had sealed it");
}

void TxnChecker::ends(const EndTxns& end) {
  for (const TxnId& txn : end.txns) {
    Fate& fate = fates_[txn];
    fate.ended = true;
    for (const auto& [participant, vote] : fate.registers) {
      if (!fate.recorded || vote.state != State::prepared) continue;
      wrong(txn, "A7 no orphans", fmt::format("was ended by its coordinator while it is prepared at {}", participant));
    }
    if (!fate.committed()) continue;
    for (const GroupId participant : fate.participants) {
      if (fate.registers[participant].state == State::committed) continue;
      wrong(txn, "A1 agreement", fmt::format("was ended by its coordinator before group {} finished it", participant));
    }
  }
}

void TxnChecker::coordinator_applied(const Entry& entry, const CoordinatorCommand& command,
                                     const std::optional<Acceptor>& acceptor, std::optional<ClusterMillis> forgotten) {
  coordinator_stamp_ = entry.stamp;
  coordinator_forgot_ = std::max(coordinator_forgot_, forgotten);
  std::visit(
      Overloaded{[&](const Decide& decide) { decides(entry, decide); }, [&](const SealOutcome& seal) { seals(seal); },
                 [&](const EndTxns& end) { ends(end); }, [](const Tidy&) {}, [](const BeginTxn&) {},
                 [](const EndBranch&) {},  // an operator's: no simulated one does this
                 [](const AdmitShards&) {},
                 [&](const NoteOutcomes& all) {
                   for (const OutcomeNote& note : all.notes) notes(note);
                 },
                 [&](const BallotWork& work) {
                   if (acceptor) ballots(coordinator_, work, *acceptor, entry);
                 }},
      command);
}

// Written down, not decided: it must be true already. A presumption becomes true here, for nothing else stands there.
void TxnChecker::notes(const OutcomeNote& note) {
  if (note.reason == AbortReason::reused_id) return;  // it only ends ballots
  Fate& fate = fates_[note.txn];
  // Of services no log holds a register: what nobody knows and nobody runs is sealed by the note itself.
  const bool of_services = std::any_of(fate.participants.begin(), fate.participants.end(), is_service);
  if (of_services && !note.commit) return seals(SealOutcome{.txn = note.txn, .refusal = {}});
  if (note.commit) {
    if (!fate.by_votes) wrong(note.txn, "A6 honest answer", "is noted as committed without the votes for it");
    fate.noted = true;
    return;
  }
  if (note.reason == AbortReason::presumed) {
    if (fate.noted) return;  // the note of its commit stands before this one
    recorder_.rare("abort presumed because every register is empty and too old");
    return forbids(note.txn, fate, "its coordinator had presumed that it is aborted");
  }
  if (!fate.no) wrong(note.txn, "A6 honest answer", "is noted as aborted before any log holds the no");
  if (fate.committed()) wrong(note.txn, "A1 agreement", "is committed and noted as aborted");
}

// The register at the shard goes from what it was to what the machine says it is now.
void TxnChecker::moves(GroupId shard, const TxnId& txn, const Register& after, const Entry& entry) {
  Fate& fate = fates_[txn];
  Register& now = fate.registers[shard];
  if (after.state == State::empty) return;  // forgotten, or never noted: nothing may follow from it
  const bool legal = now.state == State::empty || now.state == after.state || now.state == State::prepared;
  if (!legal) {
    wrong(txn, "A2 stability",
          fmt::format("goes from {} to {} at group {}, index {}", to_string(now.state), to_string(after.state), shard,
                      entry.index));
  }
  if (now.state == State::prepared && after.state == State::prepared && now.attempt != after.attempt) {
    wrong(txn, "A3 validity", fmt::format("changes the attempt of its vote at group {}", shard));
  }
  // Who asks every shard seals some that have no part in it: their no is nobody's.
  const auto& all = fate.participants;
  const bool takes_part = all.empty() || std::find(all.begin(), all.end(), shard) != all.end();
  if (after.state == State::aborted && now.state != State::aborted && takes_part) {
    forbids(txn, fate, fmt::format("group {} had logged its no", shard));
  }
  now.state = after.state;
  if (after.state == State::prepared) now = after;
  if (!fate.by_votes || after.state != State::committed) return;
  fate.ended = std::all_of(fate.participants.begin(), fate.participants.end(),
                           [&](GroupId group) { return fate.registers[group].state == State::committed; });
}

void TxnChecker::prepares(GroupId shard, const PrepareWork& prepare, const Register& after, const Entry& entry) {
  Fate& fate = fates_[prepare.txn];
  const Register before = fate.registers[shard];
  if (before.state == State::empty && after.state == State::committed) {
    wrong(prepare.txn, "A3 validity", fmt::format("is committed by a prepare at group {}", shard));
  }
  moves(shard, prepare.txn, after, entry);
  const bool voted = before.state == State::empty && fate.registers[shard].state == State::prepared;
  if (!voted) return;
  if (after.protocol != prepare.protocol || after.fingerprint != prepare.fingerprint) {
    wrong(prepare.txn, "A3 validity", fmt::format("is prepared at group {} as something else than was logged", shard));
  }
  if (prepare.fingerprint == fate.fingerprint) fate.voted_yes.insert(shard);
  if (votes_decide(prepare.protocol)) judge_votes(prepare, fate, entry);
}

// The last yes is the decision.
void TxnChecker::judge_votes(const PrepareWork& prepare, Fate& fate, const Entry& entry) {
  for (const GroupId participant : prepare.participants) {
    const Register& vote = fate.registers[participant];
    const bool yes = vote.state == State::prepared || vote.state == State::committed;
    if (!yes || vote.protocol != prepare.protocol || vote.fingerprint != prepare.fingerprint) return;
  }
  if (fate.participants != prepare.participants || fate.fingerprint != prepare.fingerprint) {
    wrong(prepare.txn, "A3 validity", "is voted for with other participants or content than the client sent");
  }
  fate.by_votes = true;
  commits(prepare.txn, fate, Attempt{}, entry);
}

// A majority of the acceptors decides: the participants and the coordinator group.
void TxnChecker::ballots(GroupId group, const BallotWork& work, const Acceptor& now, const Entry& entry) {
  Fate& fate = fates_[work.txn];
  if (work.fingerprint != fate.fingerprint) return;  // other content under a used id
  const Acceptor before = std::exchange(fate.acceptors[group], now);
  judge_acceptor(group, work, before, now);
  if (now.value == Outcome::none || now == before) return;
  const Outcome proposed = fate.proposals.emplace(now.accepted, now.value).first->second;
  if (proposed != now.value) {
    wrong(work.txn, "A1 agreement", fmt::format("has two values in one ballot, of round {}", now.accepted.round));
  }
  std::set<GroupId>& all = fate.accepted[now.accepted];
  const bool fresh = all.insert(group).second;
  const std::size_t acceptors = fate.participants.size() + 1;
  if (!fresh || 2 * all.size() <= acceptors || 2 * (all.size() - 1) > acceptors) return;
  const bool terminated = now.accepted.round > 0;
  if (now.value == Outcome::aborted) {
    recorder_.rare("abort decided by ballot");
    return forbids(work.txn, fate, fmt::format("a majority had accepted its abort in round {}", now.accepted.round));
  }
  if (terminated) recorder_.rare("commit decided by a ballot that a shard or a later leader opened");
  if (fate.committed()) return;  // chosen again in a higher ballot
  fate.by_votes = true;
  commits(work.txn, fate, Attempt{}, entry);
}

void TxnChecker::judge_acceptor(GroupId group, const BallotWork& work, const Acceptor& before, const Acceptor& now) {
  const bool forgot = now.promised < before.promised || (before.value != Outcome::none && now.value == Outcome::none);
  const bool again = now.value != Outcome::none && (now.accepted != before.accepted || now.value != before.value);
  if (forgot || (again && now.accepted < before.promised)) {
    wrong(work.txn, "A1 agreement", fmt::format("breaks a promise of its acceptor at group {}", group));
  }
  if (!again || now.value != Outcome::committed) return;
  const Fate& fate = fates_[work.txn];
  for (const GroupId participant : fate.participants) {
    if (fate.voted_yes.contains(participant)) continue;
    wrong(work.txn, "A3 validity",
          fmt::format("is pre-committed at group {} without the yes of group {}", group, participant));
  }
}

// Whoever is still in doubt would take a forgotten register for one that never voted.
void TxnChecker::forgets(GroupId shard, const ForgetTxns& forget) {
  for (const TxnId& txn : forget.txns) {
    const Fate& fate = fates_[txn];
    if (!fate.committed()) continue;
    recorder_.rare("commit forgotten when everybody had finished it");
    if (!fate.ended) {
      wrong(txn, "A1 agreement", fmt::format("is forgotten by group {} before everybody had finished it", shard));
    }
    // What the history is past it takes no note of, and a later asker hears "expired".
    const bool past = coordinator_forgot_ && txn.created() <= *coordinator_forgot_;
    if (!fate.noted && !past) {
      wrong(txn, "A2 stability", fmt::format("is forgotten by group {} before its outcome was noted", shard));
    }
  }
}

void TxnChecker::finishes(GroupId shard, const FinishWork& finish, const Register& before, const Register& after,
                          const Entry& entry) {
  const Fate& fate = fates_[finish.txn];
  if (before.state != State::prepared) {
    if (before.state != State::empty) recorder_.rare("finish repeated at a shard");
    if (after.state == State::committed && before.state != State::committed) {
      wrong(finish.txn, "A3 validity", fmt::format("is committed at group {}, where it was never prepared", shard));
    }
    return;
  }
  const bool by_votes = by_content(before.protocol);
  const bool of_this = fate.decided && (by_votes ? fate.by_votes : *fate.decided == before.attempt);
  if (after.state == State::committed && !of_this) {
    wrong(finish.txn, "A1 agreement",
          fmt::format("is committed at group {}, index {}, under attempt {} without a decision for it", shard,
                      entry.index, words(before.attempt)));
  }
  if (finishes_vote(finish, before) && after.state == State::prepared) {
    wrong(finish.txn, "A5 termination", fmt::format("stays prepared at group {} after its finish was applied", shard));
  }
}

// One entry votes, decides and applies.
void TxnChecker::executes(GroupId shard, const ExecuteWork& execute, const Register& after, const Entry& entry) {
  Fate& fate = fates_[execute.txn];
  const bool fresh = fate.registers[shard].state == State::empty;
  moves(shard, execute.txn, after, entry);
  if (!fresh || after.state != State::committed) return;
  if (fate.participants.size() > 1) {
    wrong(execute.txn, "A3 validity", "commits in one phase but has several participants");
  }
  commits(execute.txn, fate, Attempt{}, entry);
  fate.ended = true;
}

void TxnChecker::shard_applied(GroupId shard, const Entry& entry, const ShardCommand& command, const Register& after) {
  std::visit(Overloaded{[&](const PrepareWork& prepare) { prepares(shard, prepare, after, entry); },
                        [&](const RefuseWork& refuse) {
                          judge_age(refuse.txn, refuse.refusal);
                          moves(shard, refuse.txn, after, entry);
                        },
                        [&](const ExecuteWork& execute) {
                          judge_age(execute.txn, execute.refusal);
                          executes(shard, execute, after, entry);
                        },
                        [&](const FinishWork& finish) {
                          const Register before = fates_[finish.txn].registers[shard];
                          const Register then = finished_and_forgotten(finish, before, after);
                          finishes(shard, finish, before, then, entry);
                          moves(shard, finish.txn, then, entry);
                        },
                        [&](const SealWork& seal) { moves(shard, seal.txn, after, entry); }, [](const Tidy&) {},
                        [](const OverrideWork&) {},    // an operator's: no simulated one does this
                        [](const ForgetOverride&) {},  // likewise
                        [&](const ForgetTxns& forget) { forgets(shard, forget); },
                        [&](const BallotWork& work) {
                          if (after.state == State::prepared) ballots(shard, work, after.acceptor, entry);
                        }},
             command);
}

void TxnChecker::service_moved(GroupId service, const TxnId& txn, const Register& after) {
  Fate& fate = fates_[txn];
  Register& now = fate.registers[service];
  const Register before = now;
  if (before.state == after.state && (before.attempt == after.attempt || after.state == State::aborted)) return;
  const bool fills = before.state == State::empty && after.state != State::committed;
  const bool ends = before.state == State::prepared && after.state != State::prepared;
  if (!fills && !ends) {
    wrong(txn, "A2 stability",
          fmt::format("goes from {} to {} at service {}", to_string(before.state), to_string(after.state), service));
  }
  if (after.state == State::prepared) {
    now = after;
    if (!fate.ended || !fate.recorded) return;
    return wrong(txn, "A7 no orphans", fmt::format("is prepared at service {} after everybody had ended", service));
  }
  now.state = after.state;
  const bool of_this = fate.decided && *fate.decided == before.attempt;
  if (after.state == State::committed && !of_this) {
    wrong(txn, "A1 agreement",
          fmt::format("is committed at service {} under attempt {} without a decision for it", service,
                      words(before.attempt)));
  }
  if (after.state != State::aborted || fate.retriable.contains(service)) return;
  forbids(txn, fate, fmt::format("service {} had recorded its no", service));
}

void TxnChecker::service_rolled_back(GroupId service, const TxnId& txn) {
  Fate& fate = fates_[txn];
  Register& now = fate.registers[service];
  if (fate.decided && *fate.decided == now.attempt) {
    wrong(txn, "A1 agreement", fmt::format("is committed, and rolled back at service {}", service));
  }
  now = {};
}

void TxnChecker::told(GroupId by, const TxnAnswer& answer, bool reused) {
  if (answer.state != TxnState::committed && answer.state != TxnState::aborted) return;
  const bool committed = answer.state == TxnState::committed;
  if (reused && committed) {
    return wrong(answer.txn, "A8 at most once", "is answered committed for content that it never had");
  }
  if (!committed && answer.refusal.reason == AbortReason::reused_id) {
    if (!reused) wrong(answer.txn, "A6 honest answer", "is refused as reused although its content is the first one's");
    return;
  }
  Fate& fate = fates_[answer.txn];
  const std::string who =
      fmt::format("group {} ({})", by, committed ? "committed" : assent::to_string(answer.refusal.reason));
  if (committed && !fate.committed())
    wrong(answer.txn, "A6 honest answer", "is answered committed by " + who + " without a decision");
  if (!committed && fate.committed())
    wrong(answer.txn, "A6 honest answer", "is answered aborted by " + who + " but it is committed");
  // Too old for any attempt to begin, and no decision: no log need say it.
  const bool presumed =
      answer.refusal.reason == AbortReason::presumed && window_.too_old(answer.txn, coordinator_stamp_);
  if (!committed && !fate.no && !presumed && !refused_at_the_door(answer.refusal.reason)) {
    wrong(answer.txn, "A6 honest answer",
          "is answered aborted by " + who + " before any log holds the no that makes it final");
  }
  const Outcome outcome = committed ? Outcome::committed : Outcome::aborted;
  if (fate.told && *fate.told != outcome)
    wrong(answer.txn, "A2 stability", "is answered otherwise than by " + fate.told_by);
  if (!fate.told) fate.told_by = who;
  fate.told = outcome;
}

const Fate* TxnChecker::find(const TxnId& txn) const {
  const auto found = fates_.find(txn);
  return found == fates_.end() ? nullptr : &found->second;
}

std::size_t TxnChecker::undelivered() const {
  return static_cast<std::size_t>(std::count_if(
      fates_.begin(), fates_.end(), [](const auto& item) { return item.second.committed() && !item.second.ended; }));
}

void TxnChecker::judge_settled() {
  for (const auto& [txn, fate] : fates_) {
    for (const auto& [group, vote] : fate.registers) {
      if (vote.state == State::prepared)
        wrong(txn, "A7 no orphans", fmt::format("is still prepared at group {}", group));
      if (vote.state == State::committed && !fate.committed())
        wrong(txn, "A1 agreement", "is committed without a decision");
      const bool takes_part =
          std::find(fate.participants.begin(), fate.participants.end(), group) != fate.participants.end();
      if (vote.state == State::aborted && fate.committed() && takes_part)
        wrong(txn, "A1 agreement", "is committed and aborted");
    }
    if (!fate.committed()) continue;
    for (const GroupId participant : fate.participants) {
      const auto vote = fate.registers.find(participant);
      if (vote == fate.registers.end() || vote->second.state != State::committed) {
        wrong(txn, "A1 agreement", fmt::format("is committed but not at group {}", participant));
      }
    }
  }
}

}  // namespace assent::sim
