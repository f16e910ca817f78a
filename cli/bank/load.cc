#include "cli/bank/load.h"

#include <algorithm>

#include "base/check.h"

namespace assent::bank {

namespace {

constexpr std::chrono::milliseconds pause_after_failure{100};
constexpr std::chrono::milliseconds question_timeout{5'000};

std::chrono::steady_clock::time_point steady_now() { return std::chrono::steady_clock::now(); }

std::vector<Micro> micros(const Transfer& transfer, EventType type, std::optional<BalancesAfter> after) {
  const auto one = [&](std::uint64_t account, std::int64_t balance, std::int64_t change) {
    const std::string key = account_id(account);
    const bool known = type == EventType::ok && after.has_value();
    const auto value = [known](std::int64_t number) { return known ? check::Value(number) : check::Value(); };
    return std::pair{Micro{check::OpKind::read, key, value(balance - change)},
                     Micro{check::OpKind::write, key, value(balance)}};
  };
  const auto [debit_read, debit_write] = one(transfer.debit, after ? after->debit : 0, -transfer.amount);
  const auto [credit_read, credit_write] = one(transfer.credit, after ? after->credit : 0, transfer.amount);
  return {debit_read, debit_write, credit_read, credit_write};
}

}  // namespace

void Tally::merge(const Tally& other) {
  committed += other.committed;
  aborted += other.aborted;
  conflicts += other.conflicts;
  failed += other.failed;
  unknown += other.unknown;
  unknown_resolved += other.unknown_resolved;
  latency.merge(other.latency);
  if (!other.last_trouble.empty()) last_trouble = other.last_trouble;
}

Load::Load(client::Client& client, Bank bank, LoadOptions options, History* history)
    : client_(client), bank_(std::move(bank)), options_(options), history_(history) {
  const Rng root(options_.seed);
  for (std::uint32_t i = 0; i < options_.clients; ++i) {
    tellers_.push_back(std::make_unique<Teller>(Teller{i, root.split("client " + std::to_string(i)), {}, {}}));
  }
  next_process_ = options_.clients;
}

Load::~Load() { ASSENT_CHECK(running_ == 0, "a Load is destroyed while its clients run"); }

void Load::start() {
  {
    const std::lock_guard lock(mutex_);
    running_ = tellers_.size();
    last_commit_ = steady_now();
  }
  for (const std::unique_ptr<Teller>& teller : tellers_) next(*teller);
}

void Load::stop() {
  std::unique_lock lock(mutex_);
  note_gap(steady_now());
  stopping_ = true;
  idle_.wait(lock, [this] { return running_ == 0; });
}

Tally Load::sample() {
  const std::lock_guard lock(mutex_);
  Tally recent = std::exchange(recent_, {});
  total_.merge(recent);
  return recent;
}

void Load::discard() {
  const std::lock_guard lock(mutex_);
  recent_ = {};
  total_ = {};
}

Tally Load::total() const {
  const std::lock_guard lock(mutex_);
  Tally all = total_;
  all.merge(recent_);
  return all;
}

Ledger Load::ledger() const {
  const std::lock_guard lock(mutex_);
  return ledger_;
}

std::uint64_t Load::fresh_process() {
  const std::lock_guard lock(mutex_);
  return next_process_++;
}

std::chrono::milliseconds Load::longest_gap() const {
  const std::lock_guard lock(mutex_);
  return std::chrono::duration_cast<std::chrono::milliseconds>(longest_gap_);
}

void Load::next(Teller& teller) {
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) {
      if (--running_ == 0) idle_.notify_all();
      return;
    }
    teller.transfer = random_transfer(bank_, options_.cross_shard, teller.rng);
    teller.began = steady_now();
    record_event(EventType::invoke, teller, std::nullopt);
  }
  client_.run_with_retry_async(
      [this, transfer = teller.transfer](const TxnId& id) {
        client::Transaction transaction = transaction_of(bank_, transfer, id);
        if (transaction.branches.size() > 1) transaction.protocol = options_.protocol;
        return transaction;
      },
      [this, &teller](const client::Result<client::TxnOutcome>& result) { finished(teller, result); }, {},
      options_.timeout);
}

void Load::finished(Teller& teller, const client::Result<client::TxnOutcome>& result) {
  if (result && !result->definite()) {
    {
      const std::lock_guard lock(mutex_);
      recent_.unknown += 1;
      recent_.last_trouble = result->note;
    }
    resolve(teller, *result, steady_now() + options_.resolve_patience);
    return;
  }
  bool away = false;
  {
    const std::lock_guard lock(mutex_);
    if (!result) {
      recent_.failed += 1;
      recent_.last_trouble = result.error().message;
      record_event(EventType::fail, teller, std::nullopt);
      away = true;
    } else {
      if (result->was_in_question) {
        recent_.unknown += 1;
        recent_.unknown_resolved += 1;
      }
      if (result->committed()) {
        record_commit(teller, *result);
      } else {
        record_abort(teller, *result);
      }
    }
  }
  if (away) {
    client_.call_later(pause_after_failure, [this, &teller] { next(teller); });
  } else {
    next(teller);
  }
}

void Load::resolve(Teller& teller, client::TxnOutcome outcome, Time until) {
  const client::OutcomeRequest question{outcome.id, true, std::chrono::milliseconds(1'000), outcome.ask};
  client_.get_outcome_async(
      question,
      [this, &teller, outcome = std::move(outcome), until](const client::Result<client::TxnOutcome>& told) {
        const bool definite = told && told->definite();
        if (!definite && steady_now() < until) {
          client_.call_later(pause_after_failure, [this, &teller, outcome, until] { resolve(teller, outcome, until); });
          return;
        }
        {
          const std::lock_guard lock(mutex_);
          client::TxnOutcome known = outcome;
          if (definite) {
            recent_.unknown_resolved += 1;
            known.state = told->state;
            known.abort = told->abort;
          }
          if (known.committed()) {
            record_commit(teller, known);
          } else if (known.aborted()) {
            record_abort(teller, known);
          } else {
            ledger_.unresolved.push_back(known.id);
            ledger_.aborted.insert(ledger_.aborted.end(), known.earlier.begin(), known.earlier.end());
            record_event(EventType::info, teller, std::nullopt);
            teller.process = next_process_++;
          }
        }
        next(teller);
      },
      question_timeout);
}

void Load::record_commit(Teller& teller, const client::TxnOutcome& outcome) {
  const Time now = steady_now();
  note_gap(now);
  recent_.committed += 1;
  recent_.conflicts += outcome.earlier.size();
  recent_.latency.add(
      static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(now - teller.began).count()));
  ledger_.acknowledged.push_back({outcome.id, teller.transfer});
  ledger_.aborted.insert(ledger_.aborted.end(), outcome.earlier.begin(), outcome.earlier.end());
  record_event(EventType::ok, teller, balances_after(bank_, teller.transfer, outcome));
}

void Load::record_abort(Teller& teller, const client::TxnOutcome& outcome) {
  recent_.aborted += 1;
  recent_.conflicts += outcome.earlier.size();
  recent_.last_trouble = outcome.abort.message;
  ledger_.aborted.push_back(outcome.id);
  ledger_.aborted.insert(ledger_.aborted.end(), outcome.earlier.begin(), outcome.earlier.end());
  record_event(EventType::fail, teller, std::nullopt);
}

void Load::record_event(EventType type, const Teller& teller, std::optional<BalancesAfter> after) {
  if (history_ != nullptr) history_->write(type, teller.process, micros(teller.transfer, type, after));
}

void Load::note_gap(Time now) {
  if (stopping_) return;
  longest_gap_ = std::max(longest_gap_, now - last_commit_);
  last_commit_ = now;
}

}  // namespace assent::bank
