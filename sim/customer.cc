#include "sim/customer.h"

#include <algorithm>
#include <array>
#include <utility>

#include "sim/interaction.h"
#include "sim/services/services.h"
#include "sim/sim_clock.h"
#include "sim/snapshot_read.h"

namespace assent::sim {
namespace {
// Of one intent, each with an id of its own and the age of the first.
constexpr unsigned tries_max = 3;
constexpr unsigned patient_tries_max = 100;
// Until an outcome may be forgotten: the retention, less what clocks may differ by.
constexpr std::uint64_t clock_differences_millis = 10'000;
}  // namespace

Customer::Customer(Office& office, Rng rng, Client::Options options, Client::Carrier carrier)
    : office_(office),
      rng_(rng),
      number_(options.number),
      client_(office.schedule, office.recorder, rng.split("client"), std::move(options), std::move(carrier)),
      process_(++office.last_process) {}

void Customer::open() {
  closed_ = false;
  rest();
}

void Customer::close() {
  closed_ = true;
  client_.be_patient();
}

ClusterMillis Customer::wall() const { return ClusterMillis(epoch_millis + office_.schedule.now() / 1000); }

TxnId Customer::new_id(std::int64_t shift_millis) {
  const auto now = static_cast<std::int64_t>(wall().value) + shift_millis;
  return TxnId::make(ClusterMillis(static_cast<std::uint64_t>(now)), rng_.next(), rng_.next());
}

void Customer::say_doing(std::string doing) {
  doing_ = std::move(doing);
  office_.recorder.say("client {} begins {}", number_, doing_);
}

void Customer::rest() {
  doing_ = "nothing";
  if (closed_ || office_.begun >= office_.swarm.requests_max) return;
  const auto pause = static_cast<Micros>(rng_.exponential(static_cast<double>(office_.swarm.think_mean)));
  office_.schedule.after(pause, [this, life = life_] {
    if (life == life_ && !closed_ && !client_.busy()) work();
  });
}

void Customer::work() {
  const Swarm& swarm = office_.swarm;
  ++office_.begun;
  maybe_crash();
  double draw = rng_.unit();
  const auto falls = [&draw](double share) {
    draw -= share;
    return draw < 0;
  };
  if (falls(swarm.ask_share)) return ask_again();
  if (falls(swarm.bad_share)) {
    switch (rng_.below(3)) {
      case 0: return broken_work();
      case 1: return strange_time();
      default: return reuse_id();
    }
  }
  run(office_.workload.next(number_, rng_));
}

// ---- crashes ----

// Some time from now, maybe in the middle of what begins now.
void Customer::maybe_crash() {
  if (!rng_.chance(office_.swarm.client_crash)) return;
  office_.schedule.after(rng_.below(200 * millisecond), [this] {
    if (!closed_ && client_.busy()) crash();
  });
}

void Customer::crash() {
  office_.recorder.fault("client crashed");
  office_.recorder.say("client {} crashes while it is at {}", number_, doing_);
  client_.crash();
  ++life_;
  if (in_history_) {
    auto [txn, asked] = *std::exchange(in_history_, std::nullopt);
    office_.history.event(office_.schedule.now(), check::EventType::info, process_, txn, std::move(asked));
    process_ = ++office_.last_process;
  }
  rest();
}

// ---- what the workload asks for ----

void Customer::run(Deed deed) {
  if (const auto* asked = std::get_if<Question>(&deed)) return question(*asked);
  const auto& transaction = std::get<Transaction>(deed);
  const double without_locks = office_.swarm.snapshot_share;
  if (transaction.only_reads && without_locks > 0 && rng_.chance(without_locks)) return snapshot(transaction);
  attempt(transaction, new_id(), TxnId{}, (transaction.must_commit ? patient_tries_max : tries_max) - 1, false,
          new_intent());
}

Execute Customer::make_execute(std::vector<Branch> branches, const TxnId& txn, const TxnId& age, Mode mode) {
  Execute execute;
  execute.txn = txn;
  execute.age = age;
  execute.protocol = office_.swarm.protocol;
  if (execute.protocol == Protocol::one_phase && branches.size() > 1) execute.protocol = Protocol::automatic;
  if (execute.protocol == Protocol::three_phase && branches.size() < 2) execute.protocol = Protocol::automatic;
  if (office_.swarm.mixed_protocols && branches.size() > 1) {
    execute.protocol = rng_.chance(0.5) ? Protocol::two_phase : Protocol::paxos_commit;
  }
  execute.branches = std::move(branches);
  execute.mode = mode;
  const bool has_services = !services_of(execute.branches).empty();
  if (has_services) execute.protocol = Protocol::automatic;
  office_.txns.invoked(execute);
  if (has_services) office_.services->invoked(execute);
  return execute;
}

std::size_t Customer::new_intent() {
  office_.intents.emplace_back();
  return office_.intents.size() - 1;
}

void Customer::attempt(const Transaction& transaction, const TxnId& txn, const TxnId& age, unsigned left, bool strange,
                       std::size_t intent) {
  Try tried{transaction, {}, left, intent, strange};
  tried.execute.txn = txn;
  tried.execute.age = age;
  tried.execute.branches = transaction.begin(txn);
  if (transaction.must_commit) mine_.insert(txn);
  if (transaction.history) {
    in_history_.emplace(txn, transaction.history(nullptr));
    office_.history.event(office_.schedule.now(), check::EventType::invoke, process_, txn, in_history_->second);
  }
  say_doing(fmt::format("{} as {}", transaction.what, txn));
  const double interactive = office_.swarm.interactive_share;
  if (transaction.history && interactive > 0 && rng_.chance(interactive)) return interact(std::move(tried));
  send(tried);
}

// What it reads it reads before, and then it commits only if all of that is still so.
void Customer::interact(Try tried) {
  std::vector<Branch> branches = tried.execute.branches;
  Interaction::start(client_, std::move(branches), [this, tried](std::optional<Interaction::Wanted> wanted) mutable {
    office_.recorder.outcome(wanted ? "read before it was sent" : "a read before it was sent failed");
    if (wanted) {
      tried.execute.branches = std::move(wanted->branches);
      tried.seen = std::move(wanted->seen);
      return send(tried);
    }
    Ended ended;
    ended.how = Ended::How::aborted;
    ended.answer.refusal.reason = AbortReason::conflict;
    write_history(tried, ended);
    tried.transaction.ended(tried.execute.txn, ended);
    rest();
  });
}

void Customer::send(const Try& tried) {
  Try sent = tried;
  sent.execute = make_execute(tried.execute.branches, tried.execute.txn, tried.execute.age, tried.transaction.mode);
  office_.intents[sent.intent].push_back(sent.execute.txn);
  client_.execute(sent.execute, false, [this, sent](const Ended& how) { ended(sent, how); });
}

void Customer::ended(const Try& tried, const Ended& ended) {
  note(tried.execute, ended);
  write_history(tried, ended);
  tried.transaction.ended(tried.execute.txn, ended);
  judge(tried, ended);
  const bool conflict = ended.how == Ended::How::aborted && ended.answer.refusal.reason == AbortReason::conflict;
  if (conflict && tried.left > 0 && !closed_) return try_again(tried);
  rest();
}

void Customer::write_history(const Try& tried, const Ended& ended) {
  if (!tried.transaction.history) return;
  in_history_.reset();
  Ended known = ended;
  if (tried.seen) known.answer.results = *tried.seen;
  std::vector<check::Micro> value = tried.transaction.history(&known);
  const bool committed = ended.how == Ended::How::committed;
  const bool reads = std::any_of(value.begin(), value.end(),
                                 [](const check::Micro& micro) { return micro.kind == check::OpKind::read; });
  // Results are not kept for ever: of one that is known to be committed from a later answer nobody knows what it read.
  const bool blind = known.answer.results.size() < tried.execute.branches.size();
  const bool unsure = ended.how == Ended::How::expired || (committed && reads && blind);
  const check::EventType type = unsure      ? check::EventType::info
                                : committed ? check::EventType::ok
                                            : check::EventType::fail;
  office_.history.event(office_.schedule.now(), type, process_, tried.execute.txn, std::move(value));
  if (unsure) process_ = ++office_.last_process;
}

void Customer::write_history(const Question& question, const std::optional<QueryAnswer>& answer) {
  if (!question.history) return;
  in_history_.reset();
  office_.history.event(office_.schedule.now(), answer ? check::EventType::ok : check::EventType::fail, process_,
                        TxnId{}, question.history(answer ? &*answer : nullptr));
}

void Customer::judge(const Try& tried, const Ended& ended) {
  const TxnId& txn = tried.execute.txn;
  const bool committed = ended.how == Ended::How::committed;
  if (tried.strange && committed) {
    office_.recorder.wrong(fmt::format("transaction {} is committed although its id is of another time", txn));
  }
  if (ended.how == Ended::How::expired &&
      txn.created().value + office_.swarm.retention_millis > wall().value + clock_differences_millis) {
    office_.recorder.wrong(fmt::format("retention: the outcome of {} is expired before its time", txn));
  }
  if (!tried.transaction.must_commit || tried.strange || committed) return;
  // Without faults and conflicts everything commits (A4). The locks of a client's own last transaction are held until
  // its finish is applied, which is after it was told: that is waited for.
  const bool own_locks = ended.answer.refusal.reason == AbortReason::conflict &&
                         mine_.contains(ended.answer.refusal.holder) && tried.left > 0;
  if (own_locks) return;
  office_.recorder.wrong(fmt::format("A4 non-triviality: without faults and conflicts {} as {} ended {}: {} {}",
                                     tried.transaction.what, txn, to_string(ended.answer.state),
                                     ended.answer.refusal.message, ended.error.message));
}

void Customer::try_again(const Try& tried) {
  office_.schedule.after(rng_.between(1, 20 * millisecond), [this, life = life_, tried] {
    if (life != life_ || client_.busy()) return;
    if (closed_) return rest();
    const TxnId age = tried.execute.age.none() ? tried.execute.txn : tried.execute.age;
    attempt(tried.transaction, new_id(), age, tried.left - 1, false, tried.intent);
  });
}

// No transaction for anybody but the workload and the history: it has no outcome that could be asked for.
void Customer::snapshot(const Transaction& transaction) {
  const TxnId txn = new_id();
  Try tried{.transaction = transaction, .execute = {}};
  tried.execute.txn = txn;
  tried.execute.branches = transaction.begin(txn);
  if (transaction.history) {
    in_history_.emplace(txn, transaction.history(nullptr));
    office_.history.event(office_.schedule.now(), check::EventType::invoke, process_, txn, in_history_->second);
  }
  say_doing(fmt::format("{} without locks as {}", transaction.what, txn));
  SnapshotRead::start(client_, tried.execute.branches, tries_max, [this, tried](auto results) {
    Ended ended;
    ended.how = results ? Ended::How::committed : Ended::How::aborted;
    ended.answer.refusal.reason = results ? AbortReason::none : AbortReason::conflict;
    if (results) ended.answer.results = std::move(*results);
    office_.recorder.outcome(results ? "read without locks" : "read without locks disturbed");
    write_history(tried, ended);
    tried.transaction.ended(tried.execute.txn, ended);
    rest();
  });
}

void Customer::question(const Question& question) {
  say_doing(question.what);
  if (question.history) {
    in_history_.emplace(TxnId{}, question.history(nullptr));
    office_.history.event(office_.schedule.now(), check::EventType::invoke, process_, TxnId{}, in_history_->second);
  }
  client_.query(question.shard, Query{question.work}, [this, question](const std::optional<QueryAnswer>& answer) {
    office_.recorder.outcome(answer ? "query answered" : "query given up");
    write_history(question, answer);
    question.answered(answer);
    rest();
  });
}

void Customer::note(const Execute& execute, const Ended& ended) {
  Recorder& recorder = office_.recorder;
  const AbortReason reason = ended.answer.refusal.reason;
  switch (ended.how) {
    case Ended::How::committed: recorder.outcome("committed"); break;
    case Ended::How::aborted:
      recorder.outcome(fmt::format("aborted: {}", to_string(reason)));
      if (reason == AbortReason::conflict) recorder.rare("younger transaction refused by wait-die");
      if (reason == AbortReason::timeout) recorder.rare("prepare timed out");
      if (reason == AbortReason::sealed) recorder.rare("outcome sealed by an asker");
      if (reason == AbortReason::too_old) recorder.rare("transaction id refused as too old");
      break;
    case Ended::How::refused:
      recorder.outcome(fmt::format("error: {}", to_string(ended.error.code)));
      if (ended.error.code == ErrorCode::too_old) recorder.rare("transaction id refused as too old");
      break;
    case Ended::How::expired: recorder.outcome("expired"); break;
  }
  recorder.say("client {} hears that {} is {}{}", number_, execute.txn,
               ended.how == Ended::How::refused ? "refused: " + ended.error.message : to_string(ended.answer.state),
               ended.how == Ended::How::aborted
                   ? fmt::format(" ({}: {})", to_string(reason), ended.answer.refusal.message)
                   : "");
  if (ended.how == Ended::How::committed || ended.how == Ended::How::aborted) {
    office_.closed.push_back(Office::Closed{execute, ended.how == Ended::How::committed});
  }
}

// ---- bad and strange work ----

// Work that cannot be run: a missing table, a forbidden statement, a table without a primary key, an add out of bounds.
Work Customer::broken(unsigned variant) const {
  if (office_.swarm.backend != Backend::sql) return {KvAdd{"no such key", 1, 2'000'000'000, 2'000'000'001}};
  static constexpr std::array<std::string_view, 6> texts = {"UPDATE no_such_table SET x = 1",
                                                            "SELEKT 1",
                                                            "BEGIN",
                                                            "CREATE TABLE keyless(a, b)",
                                                            "PRAGMA user_version",
                                                            "SELECT 1; SELECT 2"};
  return {SqlStatement{std::string(texts[variant % texts.size()]), {}}};
}

void Customer::broken_work() {
  const TxnId txn = new_id();
  std::vector<Branch> branches;
  const GroupId bad = office_.shards[rng_.below(office_.shards.size())];
  for (const GroupId shard : office_.shards) {
    if (shard == bad || rng_.chance(0.5)) {
      const auto variant = static_cast<unsigned>(rng_.next() & 0xFFU);
      branches.push_back(Branch{shard, broken(variant)});
    }
  }
  const Execute execute = make_execute(std::move(branches), txn, TxnId{});
  say_doing(fmt::format("work that cannot be run as {}", txn));
  client_.execute(execute, false, [this, execute](const Ended& ended) {
    note(execute, ended);
    if (ended.how == Ended::How::committed) {
      office_.recorder.wrong(fmt::format("transaction {} is committed although its work cannot be run", execute.txn));
    }
    rest();
  });
}

// An id from far in the past or the future: whatever is asked for under it must not happen.
void Customer::strange_time() {
  Deed deed = office_.workload.next(number_, rng_);
  if (!std::holds_alternative<Transaction>(deed)) return run(std::move(deed));
  const auto window = static_cast<std::int64_t>(office_.swarm.retention_millis + office_.swarm.clock_skew_max_millis);
  const TxnId txn = new_id(rng_.chance(0.5) ? -window - 60'000 : window + 3'600'000);
  attempt(std::get<Transaction>(deed), txn, TxnId{}, 0, true, new_intent());
}

// Other content under the id of a transaction that is over: must never happen, and must not change what is said of the
// first.
void Customer::reuse_id() {
  if (office_.closed.empty()) return rest();
  Execute execute = office_.closed[rng_.below(office_.closed.size())].execute;
  Branch& first = execute.branches.front();
  if (first.service) {
    first.service->payload += " ";
  } else {
    first.work.push_back(Operation(first.work.front()));
  }
  say_doing(fmt::format("reusing the id {}", execute.txn));
  client_.execute(execute, true, [this](const Ended& ended) {
    if (ended.answer.refusal.reason == AbortReason::reused_id) office_.recorder.rare("reused id refused");
    office_.recorder.outcome("reused id");
    rest();
  });
}

// What was told must be told again, by whoever leads now, until it may be forgotten.
void Customer::ask_again() {
  if (office_.closed.empty()) return rest();
  const Office::Closed closed = office_.closed[rng_.below(office_.closed.size())];
  const TxnId txn = closed.execute.txn;
  say_doing(fmt::format("asking again for {}", txn));
  client_.ask(Client::home(closed.execute, office_.coordinator), txn, rng_.chance(office_.swarm.seal_share),
              [this, closed, txn](const std::optional<TxnAnswer>& answer) {
                office_.recorder.outcome("asked again");
                const bool may_be_forgotten =
                    txn.created().value + office_.swarm.retention_millis <= wall().value + clock_differences_millis;
                if (answer && closed.committed && !may_be_forgotten && answer->state != TxnState::committed) {
                  office_.recorder.wrong(fmt::format("A2 stability: {} was told committed and is now said to be {}",
                                                     txn, to_string(answer->state)));
                }
                rest();
              });
}

}  // namespace assent::sim
