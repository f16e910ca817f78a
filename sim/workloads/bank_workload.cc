#include "sim/workloads/bank_workload.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>

namespace assent::sim {
namespace {
constexpr std::size_t journal_part = 40;  // transactions asked for in one query
}

BankWorkload::BankWorkload(const Scene& scene)
    : scene_(scene),
      bank_(scene.swarm.backend, scene.shards, scene.swarm.accounts, scene.swarm.escrow),
      checker_(scene.recorder, bank_) {}

Deed BankWorkload::next(unsigned client, Rng& rng) {
  const Swarm& swarm = scene_.swarm;
  double draw = rng.unit();
  const auto falls = [&draw](double share) {
    draw -= share;
    return draw < 0;
  };
  if (falls(swarm.read_share)) return read_everything();
  if (falls(swarm.query_share)) {
    if (told_.empty() || rng.chance(0.5)) return query_books(rng);
    const std::size_t recent = std::min<std::size_t>(told_.size(), 10);
    return query_leg(told_[told_.size() - 1 - rng.below(recent)], rng);
  }
  if (falls(swarm.ddl_share)) return change_schema(rng);
  const bool overdraft = falls(swarm.bad_share / 3);
  return transfer(draw_transfer(client, rng, overdraft));
}

// ---- transfers ----

Transfer BankWorkload::draw_transfer(unsigned client, Rng& rng, bool overdraft) const {
  Transfer transfer;
  const unsigned accounts = bank_.accounts();
  if (scene_.swarm.disjoint) {  // two accounts of its own, on any shards
    const unsigned mine = accounts / scene_.swarm.clients;
    const auto from = static_cast<unsigned>(rng.below(mine));
    transfer.from = client * mine + from;
    transfer.to = client * mine + (from + 1 + static_cast<unsigned>(rng.below(mine - 1))) % mine;
    transfer.amount = 1;
    return transfer;
  }
  transfer.amount = overdraft ? 1'000'000 : static_cast<std::int64_t>(rng.between(1, 100));
  // Most of what an account holds, so that two beside each other may be one too many.
  const bool large = scene_.swarm.escrow && !overdraft && rng.chance(0.3);
  if (large) transfer.amount = static_cast<std::int64_t>(rng.between(300, 1'000));
  const bool local = rng.chance(scene_.swarm.local_share);
  transfer.from = static_cast<AccountId>(rng.below(accounts));
  for (unsigned tries = 0; tries < 50; ++tries) {
    transfer.to = static_cast<AccountId>(rng.below(accounts));
    const bool same_shard = bank_.shard_of(transfer.from) == bank_.shard_of(transfer.to);
    if (transfer.to != transfer.from && same_shard == local) return transfer;
  }
  transfer.to = (transfer.from + 1) % accounts;
  return transfer;
}

Transaction BankWorkload::transfer(const Transfer& drawn) {
  const auto under = [drawn](const TxnId& txn) {
    Transfer transfer = drawn;
    transfer.txn = txn;
    return transfer;
  };
  Transaction transaction;
  transaction.what = fmt::format("a transfer of {} from account {} to {}", drawn.amount, drawn.from, drawn.to);
  transaction.must_commit = scene_.swarm.disjoint;
  transaction.begin = [this, under](const TxnId& txn) {
    checker_.invoked(under(txn));
    return bank_.transfer(under(txn));
  };
  transaction.ended = [this, under](const TxnId& txn, const Ended& ended) {
    const bool committed = ended.how == Ended::How::committed;
    if (committed) checker_.acknowledged(under(txn));
    if (committed || ended.how == Ended::How::aborted) told_.push_back(Told{under(txn), committed});
    if (ended.answer.refusal.reason == AbortReason::constraint) {
      scene_.recorder.rare("overdraft refused by a constraint");
    }
  };
  transaction.history = [drawn](const Ended*) {
    const auto add = [](AccountId account, std::int64_t amount) {
      return check::Micro{check::OpKind::add, fmt::format("acct/{}", account), amount};
    };
    return std::vector{add(drawn.from, -drawn.amount), add(drawn.to, drawn.amount)};
  };
  return transaction;
}

Transaction BankWorkload::change_schema(Rng& rng) {
  const GroupId shard = scene_.shards[rng.below(scene_.shards.size())];
  const Work work = bank_.change_schema(schema_changes_++);
  Transaction transaction;
  transaction.what = fmt::format("a change of schema on group {}", shard);
  transaction.begin = [shard, work](const TxnId&) { return std::vector{Branch{shard, work}}; };
  transaction.ended = [this](const TxnId&, const Ended& ended) {
    if (ended.how == Ended::How::committed) scene_.recorder.rare("schema changed under load");
  };
  return transaction;
}

// ---- reads ----

std::vector<check::Micro> BankWorkload::history_of(const Books& seen) const {
  std::vector<check::Micro> value;
  for (AccountId account = 0; account < bank_.accounts(); ++account) {
    const auto found = seen.find(account);
    value.push_back({check::OpKind::read, fmt::format("acct/{}", account),
                     found == seen.end() ? check::Value() : check::Value(found->second.balance)});
  }
  return value;
}

void BankWorkload::saw(const TxnId& txn, const Ended& ended, const BankChecker::Floor& floor) {
  if (ended.how != Ended::How::committed || ended.answer.results.empty()) return;
  const auto books = bank_.read_books(ended.answer.results);
  if (!books) {
    return scene_.recorder.wrong(fmt::format("a committed read-only transaction {} has results of a wrong shape", txn));
  }
  checker_.read_all(*books, floor);
  scene_.recorder.outcome("snapshot read");
  last_books_ = *books;
}

Transaction BankWorkload::read_everything() {
  const auto floor = std::make_shared<BankChecker::Floor>();  // of the attempt under way
  Transaction transaction;
  transaction.what = "a read of everything";
  transaction.only_reads = true;
  transaction.begin = [this, floor](const TxnId&) {
    *floor = checker_.floor();
    return bank_.read_all();
  };
  transaction.ended = [this, floor](const TxnId& txn, const Ended& ended) { saw(txn, ended, *floor); };
  transaction.history = [this](const Ended* ended) {
    const auto books = ended == nullptr ? std::nullopt : bank_.read_books(ended->answer.results);
    return history_of(books.value_or(Books{}));
  };
  return transaction;
}

Question BankWorkload::query_books(Rng& rng) {
  const GroupId shard = scene_.shards[rng.below(scene_.shards.size())];
  return Question{fmt::format("a query on group {}", shard), shard, bank_.query_accounts(shard),
                  [this, shard, floor = checker_.floor()](const std::optional<QueryAnswer>& answer) {
                    if (!answer) return;
                    const auto books = bank_.read_books(shard, answer->result);
                    if (books) return checker_.read(*books, floor);
                    scene_.recorder.wrong(fmt::format("a query of group {} has results of a wrong shape", shard));
                  }};
}

// A transfer that was told committed must be seen, one that was told aborted must not.
Question BankWorkload::query_leg(const Told& told, Rng& rng) {
  const AccountId account = rng.chance(0.5) ? told.transfer.from : told.transfer.to;
  const GroupId shard = bank_.shard_of(account);
  return Question{
      fmt::format("a query for {} on group {}", told.transfer.txn, shard), shard,
      bank_.query_leg(told.transfer.txn, account), [this, told, shard](const std::optional<QueryAnswer>& answer) {
        if (!answer) return;
        const auto found = Bank::read_leg(answer->result);
        if (found && *found == told.committed) return;
        scene_.recorder.wrong(fmt::format("R7: transfer {} was told {} but a query of group {} at index {} {} it",
                                          told.transfer.txn, told.committed ? "committed" : "aborted", shard,
                                          answer->at, found && *found ? "sees" : "does not see"));
      }};
}

// ---- the end ----

std::optional<Deed> BankWorkload::last(std::size_t step) {
  if (step == 0) return read_everything();
  if (step == 1) return fresh_transfer();
  return audit_step(step - 2);
}

// To any other account, on another shard when there is one.
Transaction BankWorkload::fresh_transfer() {
  const auto fullest = std::max_element(last_books_.begin(), last_books_.end(), [](const auto& a, const auto& b) {
    return a.second.balance < b.second.balance;
  });
  Transfer drawn;
  drawn.from = fullest == last_books_.end() ? 0 : fullest->first;
  drawn.to = (drawn.from + 1) % bank_.accounts();
  drawn.amount = 1;
  last_books_.clear();
  return transfer(drawn);
}

// In SQL one query gives a whole journal; keys are asked for a part at a time.
std::optional<Deed> BankWorkload::audit_step(std::size_t step) {
  const std::size_t transfers = checker_.transfers().size();
  const std::size_t parts = bank_.sql() ? 1 : (transfers + journal_part - 1) / journal_part;
  const std::size_t shard = step / (1 + parts);
  const std::size_t part = step % (1 + parts);
  if (shard == scene_.shards.size()) return std::nullopt;
  if (part == 0) return audit_accounts(scene_.shards[shard]);
  std::vector<TxnId> asked;
  auto transfer = std::next(checker_.transfers().begin(), static_cast<std::ptrdiff_t>((part - 1) * journal_part));
  for (; transfer != checker_.transfers().end() && asked.size() < journal_part; ++transfer) {
    asked.push_back(transfer->first);
  }
  return audit_journal(scene_.shards[shard], asked);
}

Question BankWorkload::audit_accounts(GroupId shard) {
  return Question{fmt::format("the audit of the accounts of group {}", shard), shard, bank_.query_accounts(shard),
                  [this, shard](const std::optional<QueryAnswer>& answer) {
                    const auto books = answer ? bank_.read_books(shard, answer->result) : std::nullopt;
                    if (!books) {
                      return scene_.recorder.stuck(fmt::format("the accounts of group {} cannot be read", shard));
                    }
                    last_books_.insert(books->begin(), books->end());
                  }};
}

Question BankWorkload::audit_journal(GroupId shard, const std::vector<TxnId>& asked) {
  return Question{fmt::format("the audit of the journal of group {}", shard), shard, bank_.query_journal(shard, asked),
                  [this, shard, asked](const std::optional<QueryAnswer>& answer) {
                    const auto journal = answer ? bank_.read_journal(shard, asked, answer->result) : std::nullopt;
                    if (!journal) {
                      return scene_.recorder.stuck(fmt::format("the journal of group {} cannot be read", shard));
                    }
                    for (const auto& [txn, legs] : *journal) last_journal_[txn].insert(legs.begin(), legs.end());
                  }};
}

void BankWorkload::audit() { checker_.audit(last_books_, last_journal_, scene_.txns.fates()); }

}  // namespace assent::sim
