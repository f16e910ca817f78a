#include "cli/bank/books.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <set>
#include <thread>
#include <unordered_map>
#include <unordered_set>

namespace assent::bank {

namespace {

constexpr std::int64_t page_rows = 4'000;

std::int64_t total(const Balances& balances) {
  return std::accumulate(balances.begin(), balances.end(), std::int64_t{0},
                         [](std::int64_t sum, const auto& account) { return sum + account.second; });
}

using EntriesById = std::unordered_map<TxnId, std::vector<const Entry*>>;

// The transfer stands exactly once in the books of each shard that it touches, and nowhere else.
bool entered(const Bank& bank, const Transfer& transfer, const std::vector<const Entry*>& entries) {
  const std::set<std::string> concerned{bank.shard_of(transfer.debit), bank.shard_of(transfer.credit)};
  std::set<std::string> found;
  for (const Entry* entry : entries) {
    if (entry->transfer != transfer || !found.insert(entry->shard).second) return false;
  }
  return found == concerned;
}

void judge_books(const Bank& bank, const EntriesById& books, Judgement& judgement) {
  for (const auto& [id, entries] : books) judgement.torn += entered(bank, entries.front()->transfer, entries) ? 0 : 1;
}

void judge_ledger(const Bank& bank, const EntriesById& books, const Ledger& ledger, Judgement& judgement) {
  std::unordered_set<TxnId> explained(ledger.unresolved.begin(), ledger.unresolved.end());
  for (const KnownTransfer& known : ledger.acknowledged) {
    explained.insert(known.id);
    const auto found = books.find(known.id);
    const bool there = found != books.end() && entered(bank, known.transfer, found->second);
    judgement.acknowledged_missing += there ? 0 : 1;
  }
  for (const TxnId& id : ledger.aborted) judgement.aborted_present += books.contains(id) ? 1 : 0;
  explained.insert(ledger.aborted.begin(), ledger.aborted.end());  // counted above
  for (const auto& [id, entries] : books) judgement.unexplained += explained.contains(id) ? 0 : 1;
}

// Each shard's books account for each of its balances.
void judge_accounts(const Bank& bank, Balances expected, const Balances& after, const std::vector<Entry>& entries,
                    Judgement& judgement) {
  for (const Entry& entry : entries) {
    const Transfer& transfer = entry.transfer;
    if (bank.shard_of(transfer.debit) == entry.shard) expected[transfer.debit] -= transfer.amount;
    if (bank.shard_of(transfer.credit) == entry.shard) expected[transfer.credit] += transfer.amount;
  }
  for (const auto& [account, balance] : expected) {
    const auto found = after.find(account);
    judgement.accounts_off += found != after.end() && found->second == balance ? 0 : 1;
  }
  for (const auto& [account, balance] : after) judgement.accounts_off += expected.contains(account) ? 0 : 1;
}

// Reads a whole table in pages: sql takes the last id seen and the number of rows. row(values) gives the id, or nothing
// when the row makes no sense.
template <class Row>
client::Result<bool> read_table(client::Client& client, const std::string& shard, const char* sql, std::string after,
                                Row&& row) {
  for (;;) {
    const client::Result<client::QueryResult> page = client.query(shard, {client::sql(sql, after, page_rows)});
    if (!page) return tl::unexpected(page.error());
    if (page->results.size() != 1) return client::fail(client::ErrorCode::internal, "a query gave no result");
    const auto& rows = page->results.front().rows;
    for (const std::vector<SqlValue>& values : rows) {
      std::optional<std::string> id = row(values);
      if (!id) return client::fail(client::ErrorCode::internal, fmt::format("a row on {} is not of the bank's", shard));
      after = std::move(*id);
    }
    if (rows.size() < static_cast<std::size_t>(page_rows)) return true;
  }
}

const std::string* text_at(const std::vector<SqlValue>& values, std::size_t column) {
  return column < values.size() ? std::get_if<std::string>(&values[column]) : nullptr;
}
const std::int64_t* integer_at(const std::vector<SqlValue>& values, std::size_t column) {
  return column < values.size() ? std::get_if<std::int64_t>(&values[column]) : nullptr;
}

std::optional<Entry> read_entry(const std::string& shard, const std::vector<SqlValue>& values) {
  const std::string* id = text_at(values, 0);
  const std::string* debit = text_at(values, 1);
  const std::string* credit = text_at(values, 2);
  const std::int64_t* amount = integer_at(values, 3);
  if (id == nullptr || debit == nullptr || credit == nullptr || amount == nullptr) return std::nullopt;
  const std::optional<TxnId> txn = TxnId::from_hex(*id);
  const std::optional<std::uint64_t> from = account_number(*debit);
  const std::optional<std::uint64_t> to = account_number(*credit);
  if (!txn || !from || !to) return std::nullopt;
  return Entry{shard, *txn, Transfer{*from, *to, *amount}};
}

}  // namespace

bool Judgement::sound() const { return complaints().empty(); }

std::vector<std::string> Judgement::complaints() const {
  std::vector<std::string> out;
  if (total_before != total_after) out.push_back(fmt::format("the total was {} and is {}", total_before, total_after));
  const auto complain = [&](std::uint64_t count, const char* what) {
    if (count > 0) out.push_back(fmt::format("{} {}", count, what));
  };
  complain(in_doubt_left, "transactions are still in doubt");
  complain(acknowledged_missing, "acknowledged transfers are not in the books exactly once");
  complain(aborted_present, "aborted transfers are in the books");
  complain(torn, "transfers are in the books of one shard and not of the other");
  complain(unexplained, "transfers are in the books that no client made");
  complain(accounts_off, "accounts have a balance that the books do not explain");
  return out;
}

Judgement judge(const Bank& bank, const Balances& before, const Balances& after, const std::vector<Entry>& entries,
                const Ledger* ledger) {
  Judgement judgement;
  judgement.total_before = total(before);
  judgement.total_after = total(after);
  EntriesById books;
  for (const Entry& entry : entries) books[entry.id].push_back(&entry);
  judge_books(bank, books, judgement);
  if (ledger != nullptr) judge_ledger(bank, books, *ledger, judgement);
  judge_accounts(bank, before, after, entries, judgement);
  return judgement;
}

client::Result<Balances> read_balances(client::Client& client, const Bank& bank) {
  Balances balances;
  for (const std::string& shard : bank.shards) {
    const auto read = read_table(client, shard, "SELECT id, balance FROM accounts WHERE id > ?1 ORDER BY id LIMIT ?2",
                                 "", [&](const std::vector<SqlValue>& values) -> std::optional<std::string> {
                                   const std::string* id = text_at(values, 0);
                                   const std::int64_t* balance = integer_at(values, 1);
                                   const std::optional<std::uint64_t> number =
                                       id == nullptr ? std::nullopt : account_number(*id);
                                   if (!number || balance == nullptr) return std::nullopt;
                                   balances[*number] = *balance;
                                   return *id;
                                 });
    if (!read) return tl::unexpected(read.error());
  }
  return balances;
}

client::Result<std::vector<Entry>> read_entries(client::Client& client, const Bank& bank, const TxnId& since) {
  std::vector<Entry> entries;
  for (const std::string& shard : bank.shards) {
    const auto read =
        read_table(client, shard, "SELECT id, debit, credit, amount FROM transfers WHERE id > ?1 ORDER BY id LIMIT ?2",
                   since.to_hex(), [&](const std::vector<SqlValue>& values) -> std::optional<std::string> {
                     const std::optional<Entry> entry = read_entry(shard, values);
                     if (!entry) return std::nullopt;
                     entries.push_back(*entry);
                     return entry->id.to_hex();
                   });
    if (!read) return tl::unexpected(read.error());
  }
  return entries;
}

client::Result<std::uint64_t> wait_until_settled(client::Client& client, const Bank& bank,
                                                 std::chrono::milliseconds patience) {
  const auto deadline = std::chrono::steady_clock::now() + patience;
  for (;;) {
    const client::Result<client::ClusterStatus> status = client.status();
    std::uint64_t left = 0;
    for (const std::string& shard : bank.shards) {
      const client::GroupView* group = status ? status->group(shard) : nullptr;
      const client::ReplicaStatus* leader = group == nullptr ? nullptr : group->leader_status();
      left += leader == nullptr ? 1 : leader->prepared;
    }
    if (left == 0) return 0;
    if (std::chrono::steady_clock::now() >= deadline)
      return status ? client::Result<std::uint64_t>(left) : tl::unexpected(status.error());
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
}

}  // namespace assent::bank
