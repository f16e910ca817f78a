#include "sim/teller.h"

#include <utility>

#include "sim/sim_clock.h"

namespace assent::sim {
namespace {
// Of one intent, each with an id of its own and the age of the first.
constexpr unsigned transfer_tries = 3;
constexpr unsigned patient_tries = 100;
// Until an outcome may be forgotten: the retention, less what clocks may differ by.
constexpr std::uint64_t clock_differences_millis = 10'000;
}  // namespace

Teller::Teller(Office& office, Rng rng, Client::Options options, Client::Carrier carrier)
    : office_(office),
      rng_(rng),
      number_(options.number),
      client_(office.schedule, office.recorder, rng.split("client"), std::move(options), std::move(carrier)) {}

void Teller::open() {
  closed_ = false;
  rest();
}

void Teller::close() {
  closed_ = true;
  client_.be_patient();
}

ClusterMillis Teller::wall() const { return ClusterMillis(epoch_millis + office_.schedule.now() / 1000); }

TxnId Teller::new_id(std::int64_t shift_millis) {
  const auto now = static_cast<std::int64_t>(wall().value) + shift_millis;
  return TxnId::make(ClusterMillis(static_cast<std::uint64_t>(now)), rng_.next(), rng_.next());
}

void Teller::rest() {
  doing_ = "nothing";
  if (closed_) return;
  const auto pause = static_cast<Micros>(rng_.exponential(static_cast<double>(office_.swarm.think_mean)));
  office_.schedule.after(pause, [this, life = life_] {
    if (life == life_ && !closed_ && !client_.busy()) work();
  });
}

void Teller::work() {
  const Swarm& swarm = office_.swarm;
  maybe_crash();
  double draw = rng_.unit();
  const auto falls = [&draw](double share) {
    draw -= share;
    return draw < 0;
  };
  if (falls(swarm.read_share)) return read_everything();
  if (falls(swarm.query_share)) return rng_.chance(0.5) ? query_books() : query_leg();
  if (falls(swarm.ask_share)) return ask_again();
  if (falls(swarm.ddl_share)) return change_schema();
  if (falls(swarm.bad_share)) {
    switch (rng_.below(4)) {
      case 0: return transfer(true);
      case 1: return broken_work();
      case 2: return strange_time();
      default: return reuse_id();
    }
  }
  transfer(false);
}

// Some time from now, maybe in the middle of what begins now.
void Teller::maybe_crash() {
  if (!rng_.chance(office_.swarm.client_crash)) return;
  office_.schedule.after(rng_.below(200 * millisecond), [this] {
    if (closed_ || !client_.busy()) return;
    office_.recorder.fault("client crashed");
    office_.recorder.say("client {} crashes while it is at {}", number_, doing_);
    client_.crash();
    ++life_;
    rest();
  });
}

Execute Teller::begin(std::vector<Branch> branches, const TxnId& txn, const TxnId& age) {
  Execute execute;
  execute.txn = txn;
  execute.age = age;
  execute.protocol = office_.swarm.force_two_phase ? Protocol::two_phase : Protocol::automatic;
  execute.branches = std::move(branches);
  office_.txns.invoked(execute);
  return execute;
}

void Teller::note(const Execute& execute, const Ended& ended) {
  Recorder& recorder = office_.recorder;
  switch (ended.how) {
    case Ended::How::committed: recorder.outcome("committed"); break;
    case Ended::How::aborted:
      recorder.outcome(fmt::format("aborted: {}", to_string(ended.answer.refusal.reason)));
      if (ended.answer.refusal.reason == AbortReason::conflict)
        recorder.rare("younger transaction refused by wait-die");
      if (ended.answer.refusal.reason == AbortReason::timeout) recorder.rare("prepare timed out");
      if (ended.answer.refusal.reason == AbortReason::sealed) recorder.rare("outcome sealed by an asker");
      if (ended.answer.refusal.reason == AbortReason::too_old) recorder.rare("transaction id refused as too old");
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
                   ? fmt::format(" ({}: {})", to_string(ended.answer.refusal.reason), ended.answer.refusal.message)
                   : "");
  if (ended.how == Ended::How::committed || ended.how == Ended::How::aborted) {
    office_.closed.push_back(Office::Closed{execute, ended.how == Ended::How::committed, wall()});
  }
}

// ---- transfers ----

Transfer Teller::draw_transfer(bool overdraft) {
  Transfer transfer;
  transfer.txn = new_id();
  const unsigned accounts = office_.bank.accounts();
  if (office_.swarm.disjoint) {  // two accounts of its own, on any shards
    const unsigned mine = accounts / office_.swarm.clients;
    transfer.from = number_ * mine + static_cast<unsigned>(rng_.below(mine));
    transfer.to =
        number_ * mine + (transfer.from - number_ * mine + 1 + static_cast<unsigned>(rng_.below(mine - 1))) % mine;
    transfer.amount = 1;
    return transfer;
  }
  transfer.amount = overdraft ? 1'000'000 : static_cast<std::int64_t>(rng_.between(1, 100));
  const bool local = rng_.chance(office_.swarm.local_share);
  transfer.from = static_cast<AccountId>(rng_.below(accounts));
  for (unsigned tries = 0; tries < 50; ++tries) {
    transfer.to = static_cast<AccountId>(rng_.below(accounts));
    const bool same_shard = office_.bank.shard_of(transfer.from) == office_.bank.shard_of(transfer.to);
    if (transfer.to != transfer.from && same_shard == local) return transfer;
  }
  transfer.to = (transfer.from + 1) % accounts;
  return transfer;
}

void Teller::transfer(bool overdraft) {
  const Transfer transfer = draw_transfer(overdraft);
  run_transfer(transfer, TxnId{}, office_.swarm.disjoint ? patient_tries : transfer_tries);
}

void Teller::run_transfer(const Transfer& transfer, const TxnId& age, unsigned tries_left) {
  const Execute execute = begin(office_.bank.transfer(transfer), transfer.txn, age);
  if (office_.swarm.disjoint) mine_.insert(transfer.txn);
  office_.books.invoked(transfer);
  office_.history.transfer(office_.schedule.now(), "invoke", number_, transfer);
  doing_ =
      fmt::format("transfer {} of {} from account {} to {}", transfer.txn, transfer.amount, transfer.from, transfer.to);
  office_.recorder.say("client {} begins {}", number_, doing_);
  client_.execute(execute, false, [this, transfer, execute, age, tries_left](const Ended& ended) {
    transferred(transfer, execute, age, tries_left, ended);
  });
}

void Teller::transferred(const Transfer& transfer, const Execute& execute, const TxnId& age, unsigned tries_left,
                         const Ended& ended) {
  note(execute, ended);
  const Micros now = office_.schedule.now();
  const bool committed = ended.how == Ended::How::committed;
  if (committed) office_.books.acknowledged(transfer);
  office_.history.transfer(now,
                           committed                          ? "ok"
                           : ended.how == Ended::How::expired ? "info"
                                                              : "fail",
                           number_, transfer);
  const AbortReason reason = ended.answer.refusal.reason;
  // Without faults and conflicts everything commits (A4). The locks of a client's own last transfer are held until its
  // finish is applied, which is after it was told: that is waited for.
  const bool own_locks =
      reason == AbortReason::conflict && mine_.contains(ended.answer.refusal.holder) && tries_left > 1;
  if (office_.swarm.disjoint && !committed && !own_locks) {
    office_.recorder.wrong(fmt::format("A4 non-triviality: without faults and conflicts transfer {} ended {}: {} {}",
                                       transfer.txn, to_string(ended.answer.state), ended.answer.refusal.message,
                                       ended.error.message));
  }
  if (ended.how == Ended::How::expired &&
      transfer.txn.created().value + office_.swarm.retention_millis > wall().value + clock_differences_millis) {
    office_.recorder.wrong(fmt::format("retention: the outcome of {} is expired before its time", transfer.txn));
  }
  if (reason == AbortReason::constraint) office_.recorder.rare("overdraft refused by a constraint");
  if (ended.how == Ended::How::aborted && reason == AbortReason::conflict && tries_left > 1 && !closed_) {
    return retry_transfer(transfer, age.none() ? transfer.txn : age, tries_left - 1);
  }
  rest();
}

void Teller::retry_transfer(Transfer transfer, const TxnId& age, unsigned tries_left) {
  office_.schedule.after(rng_.between(1, 20 * millisecond), [this, life = life_, transfer, age, tries_left]() mutable {
    if (life != life_ || client_.busy()) return;
    if (closed_) return rest();
    transfer.txn = new_id();
    run_transfer(transfer, age, tries_left);
  });
}

// ---- reads ----

void Teller::read_everything() {
  const TxnId txn = new_id();
  const Execute execute = begin(office_.bank.read_all(), txn, TxnId{});
  const BankChecker::Floor floor = office_.books.floor();
  office_.history.read(office_.schedule.now(), "invoke", number_, txn, office_.bank.accounts(), {});
  doing_ = fmt::format("reading everything in {}", txn);
  office_.recorder.say("client {} begins {}", number_, doing_);
  client_.execute(execute, false, [this, execute, floor](const Ended& ended) {
    note(execute, ended);
    Books seen;
    if (ended.how == Ended::How::committed && !ended.answer.results.empty()) {
      const auto books = office_.bank.read_books(ended.answer.results);
      if (!books) {
        office_.recorder.wrong(
            fmt::format("a committed read-only transaction {} has results of a wrong shape", execute.txn));
      } else {
        office_.books.read_all(*books, floor);
        office_.recorder.outcome("snapshot read");
        seen = *books;
      }
    }
    office_.history.read(office_.schedule.now(), seen.empty() ? "fail" : "ok", number_, execute.txn,
                         office_.bank.accounts(), seen);
    rest();
  });
}

void Teller::query_books() {
  const auto& shards = office_.bank.shards();
  const GroupId shard = shards[rng_.below(shards.size())];
  const BankChecker::Floor floor = office_.books.floor();
  doing_ = fmt::format("a query on group {}", shard);
  client_.query(shard, office_.bank.query_accounts(shard),
                [this, shard, floor](const std::optional<QueryAnswer>& answer) {
                  office_.recorder.outcome(answer ? "query answered" : "query given up");
                  if (answer) {
                    const auto books = office_.bank.read_books(shard, answer->result);
                    if (!books) {
                      office_.recorder.wrong(fmt::format("a query of group {} has results of a wrong shape", shard));
                    } else {
                      office_.books.read(*books, floor);
                    }
                  }
                  rest();
                });
}

// A transfer that was told committed must be seen, one that was told aborted must not.
void Teller::query_leg() {
  if (office_.closed.empty()) return rest();
  const std::size_t recent = std::min<std::size_t>(office_.closed.size(), 10);
  const Office::Closed closed = office_.closed[office_.closed.size() - 1 - rng_.below(recent)];
  const auto transfer = office_.books.transfers().find(closed.execute.txn);
  if (transfer == office_.books.transfers().end()) return rest();
  const AccountId account = rng_.chance(0.5) ? transfer->second.from : transfer->second.to;
  const GroupId shard = office_.bank.shard_of(account);
  doing_ = fmt::format("a query for {} on group {}", closed.execute.txn, shard);
  client_.query(
      shard, office_.bank.query_leg(closed.execute.txn, account),
      [this, closed, shard](const std::optional<QueryAnswer>& answer) {
        office_.recorder.outcome(answer ? "query answered" : "query given up");
        if (answer) {
          const auto found = Bank::read_leg(answer->result);
          if (!found || *found != closed.committed) {
            office_.recorder.wrong(fmt::format("R7: transfer {} was told {} but a query of group {} at index {} {} it",
                                               closed.execute.txn, closed.committed ? "committed" : "aborted", shard,
                                               answer->at, found && *found ? "sees" : "does not see"));
          }
        }
        rest();
      });
}

// ---- bad and strange work ----

void Teller::refused(const Execute& execute, const Ended& ended) {
  note(execute, ended);
  if (ended.how == Ended::How::committed) {
    office_.recorder.wrong(fmt::format("transaction {} is committed although its work cannot be run", execute.txn));
  }
  rest();
}

void Teller::broken_work() {
  const TxnId txn = new_id();
  const auto& shards = office_.bank.shards();
  const GroupId bad = shards[rng_.below(shards.size())];
  std::vector<Branch> branches;
  for (const GroupId shard : shards) {
    if (shard == bad) {
      branches.push_back(Branch{shard, office_.bank.broken(static_cast<unsigned>(rng_.next() & 0xFFU))});
    } else if (rng_.chance(0.5)) {
      branches.push_back(Branch{shard, office_.bank.query_accounts(shard)});
    }
  }
  const Execute execute = begin(std::move(branches), txn, TxnId{});
  doing_ = fmt::format("work that cannot be run in {}", txn);
  office_.recorder.say("client {} begins {}", number_, doing_);
  client_.execute(execute, false, [this, execute](const Ended& ended) { refused(execute, ended); });
}

// An id from far in the past or the future. Only the first kind must be refused at all replicas alike; both are
// transfers like any other to the checkers.
void Teller::strange_time() {
  const auto window = static_cast<std::int64_t>(office_.swarm.retention_millis + office_.swarm.clock_skew_max_millis);
  Transfer transfer = draw_transfer(false);
  transfer.txn = new_id(rng_.chance(0.5) ? -window - 60'000 : window + 3'600'000);
  const Execute execute = begin(office_.bank.transfer(transfer), transfer.txn, TxnId{});
  office_.books.invoked(transfer);
  doing_ = fmt::format("a transfer of a strange time, {}", transfer.txn);
  office_.recorder.say("client {} begins {}", number_, doing_);
  client_.execute(execute, false, [this, execute](const Ended& ended) { refused(execute, ended); });
}

void Teller::change_schema() {
  const auto& shards = office_.bank.shards();
  const GroupId shard = shards[rng_.below(shards.size())];
  const TxnId txn = new_id();
  const Execute execute = begin({Branch{shard, office_.bank.change_schema(office_.schema_changes++)}}, txn, TxnId{});
  doing_ = fmt::format("a change of schema in {}", txn);
  office_.recorder.say("client {} begins {}", number_, doing_);
  client_.execute(execute, false, [this, execute](const Ended& ended) {
    note(execute, ended);
    if (ended.how == Ended::How::committed) office_.recorder.rare("schema changed under load");
    rest();
  });
}

// Other content under the id of a transaction that is over: must never happen, and must not change what is said of the
// first.
void Teller::reuse_id() {
  if (office_.closed.empty()) return rest();
  const Office::Closed closed = office_.closed[rng_.below(office_.closed.size())];
  const auto original = office_.books.transfers().find(closed.execute.txn);
  if (original == office_.books.transfers().end()) return rest();
  Transfer other = original->second;
  other.amount += 1;
  Execute execute = closed.execute;
  execute.branches = office_.bank.transfer(other);
  doing_ = fmt::format("reusing the id {}", execute.txn);
  office_.recorder.say("client {} begins {}", number_, doing_);
  client_.execute(execute, true, [this](const Ended& ended) {
    if (ended.answer.refusal.reason == AbortReason::reused_id) office_.recorder.rare("reused id refused");
    office_.recorder.outcome("reused id");
    rest();
  });
}

// What was told must be told again, by whoever leads now, until it may be forgotten.
void Teller::ask_again() {
  if (office_.closed.empty()) return rest();
  const Office::Closed closed = office_.closed[rng_.below(office_.closed.size())];
  const TxnId txn = closed.execute.txn;
  doing_ = fmt::format("asking again for {}", txn);
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
