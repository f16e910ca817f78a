#include "sim/workloads/bank.h"

#include <fmt/format.h>

#include <charconv>

#include "sim/workload.h"

namespace assent::sim {
namespace {

std::string balance_key(AccountId account) { return fmt::format("balance/{}", account); }
std::string moves_key(AccountId account) { return fmt::format("moves/{}", account); }
std::string leg_key(const TxnId& txn, AccountId account) { return fmt::format("leg/{}/{}", txn.to_hex(), account); }

SqlStatement statement(std::string text, std::vector<SqlValue> parameters = {}) {
  return SqlStatement{std::move(text), std::move(parameters)};
}
SqlValue number(std::int64_t value) { return SqlValue(value); }
SqlValue text(std::string value) { return SqlValue(std::move(value)); }

// A number as SQL gives it, or the decimal bytes of a key's value.
std::optional<std::int64_t> as_number(const SqlValue& value) {
  if (const auto* integer = std::get_if<std::int64_t>(&value)) return *integer;
  std::string_view digits;
  if (const auto* string = std::get_if<std::string>(&value)) digits = *string;
  if (const auto* blob = std::get_if<SqlBlob>(&value)) digits = blob->bytes;
  std::int64_t number = 0;
  const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (digits.empty() || parsed.ec != std::errc{} || parsed.ptr != digits.data() + digits.size()) return std::nullopt;
  return number;
}

// The one number that a KvGet answered; zero for an absent key.
std::optional<std::int64_t> got_number(const OperationResult& result) {
  if (result.rows.empty()) return 0;
  if (result.rows.size() != 1 || result.rows[0].size() != 1) return std::nullopt;
  return as_number(result.rows[0][0]);
}

}  // namespace

Bank::Bank(Backend backend, std::vector<GroupId> shards, unsigned accounts, bool escrow)
    : backend_(backend), shards_(std::move(shards)), accounts_(accounts), escrow_(escrow) {}

std::vector<AccountId> Bank::accounts_of(GroupId shard) const {
  std::vector<AccountId> mine;
  for (AccountId account = 0; account < accounts_; ++account) {
    if (shard_of(account) == shard) mine.push_back(account);
  }
  return mine;
}

std::vector<Work> Bank::opening(GroupId shard) const {
  std::vector<Work> steps;
  Work load;
  if (sql()) {
    steps.push_back({statement(escrow_ ? "CREATE TABLE accounts(id INTEGER PRIMARY KEY, balance INTEGER ESCROW(0) NOT "
                                         "NULL, moves INTEGER ESCROW NOT NULL)"
                                       : "CREATE TABLE accounts(id INTEGER PRIMARY KEY, balance INTEGER NOT NULL "
                                         "CHECK(balance >= 0), moves INTEGER NOT NULL)")});
    steps.push_back(
        {statement("CREATE TABLE journal(txn TEXT NOT NULL, account INTEGER NOT NULL, delta INTEGER NOT NULL, "
                   "PRIMARY KEY(txn, account))")});
  }
  for (const AccountId account : accounts_of(shard)) {
    if (sql()) {
      load.emplace_back(statement("INSERT INTO accounts(id, balance, moves) VALUES(?1, ?2, 0)",
                                  {number(account), number(opening_balance)}));
    } else {
      load.emplace_back(KvPut{balance_key(account), std::to_string(opening_balance)});
    }
  }
  if (!load.empty()) steps.push_back(std::move(load));
  return steps;
}

void Bank::add_leg(Work& work, const TxnId& txn, AccountId account, std::int64_t delta) const {
  if (sql()) {
    work.emplace_back(statement("UPDATE accounts SET balance = balance + ?1, moves = moves + 1 WHERE id = ?2",
                                {number(delta), number(account)}));
    work.emplace_back(statement("INSERT INTO journal(txn, account, delta) VALUES(?1, ?2, ?3)",
                                {text(txn.to_hex()), number(account), number(delta)}));
    return;
  }
  work.emplace_back(KvAdd{balance_key(account), delta, 0, std::nullopt, escrow_});
  work.emplace_back(KvAdd{moves_key(account), 1, std::nullopt, std::nullopt, escrow_});
  work.emplace_back(KvPut{leg_key(txn, account), std::to_string(delta)});
}

std::vector<Branch> Bank::transfer(const Transfer& transfer) const {
  std::map<GroupId, Work> work;
  add_leg(work[shard_of(transfer.from)], transfer.txn, transfer.from, -transfer.amount);
  add_leg(work[shard_of(transfer.to)], transfer.txn, transfer.to, transfer.amount);
  return branches_of(std::move(work));
}

std::vector<Branch> Bank::read_all() const {
  std::vector<Branch> branches;
  for (const GroupId shard : shards_) {
    if (!accounts_of(shard).empty()) branches.push_back(Branch{shard, query_accounts(shard)});
  }
  return branches;
}

Work Bank::change_schema(unsigned number) const {
  switch (number % 3) {
    case 0: return {statement(fmt::format("CREATE TABLE extra_{}(id INTEGER PRIMARY KEY, note TEXT)", number))};
    case 1: return {statement(fmt::format("CREATE INDEX journal_by_account_{} ON journal(account)", number))};
    default: return {statement(fmt::format("ALTER TABLE accounts ADD COLUMN note_{} TEXT", number))};
  }
}

Work Bank::query_accounts(GroupId shard) const {
  if (sql()) return {statement("SELECT id, balance, moves FROM accounts ORDER BY id")};
  Work work;
  for (const AccountId account : accounts_of(shard)) {
    work.emplace_back(KvGet{balance_key(account)});
    work.emplace_back(KvGet{moves_key(account)});
  }
  return work;
}

Work Bank::query_leg(const TxnId& txn, AccountId account) const {
  if (sql()) {
    return {
        statement("SELECT delta FROM journal WHERE txn = ?1 AND account = ?2", {text(txn.to_hex()), number(account)})};
  }
  return {KvGet{leg_key(txn, account)}};
}

Work Bank::query_journal(GroupId shard, const std::vector<TxnId>& txns) const {
  if (sql()) return {statement("SELECT txn, account, delta FROM journal ORDER BY txn, account")};
  Work work;
  for (const TxnId& txn : txns) {
    for (const AccountId account : accounts_of(shard)) work.emplace_back(KvGet{leg_key(txn, account)});
  }
  return work;
}

std::optional<Books> Bank::read_books(GroupId shard, const WorkResult& result) const {
  const std::vector<AccountId> mine = accounts_of(shard);
  Books books;
  if (sql()) {
    if (result.size() != 1 || result[0].rows.size() != mine.size()) return std::nullopt;
    for (const auto& row : result[0].rows) {
      if (row.size() != 3) return std::nullopt;
      const auto id = as_number(row[0]);
      const auto balance = as_number(row[1]);
      const auto moves = as_number(row[2]);
      if (!id || !balance || !moves) return std::nullopt;
      books[static_cast<AccountId>(*id)] = Account{*balance, static_cast<std::uint64_t>(*moves)};
    }
    return books;
  }
  if (result.size() != 2 * mine.size()) return std::nullopt;
  for (std::size_t i = 0; i < mine.size(); ++i) {
    const auto balance = got_number(result[2 * i]);
    const auto moves = got_number(result[2 * i + 1]);
    if (!balance || !moves) return std::nullopt;
    books[mine[i]] = Account{*balance, static_cast<std::uint64_t>(*moves)};
  }
  return books;
}

std::optional<Books> Bank::read_books(const std::vector<BranchResult>& results) const {
  Books all;
  for (const BranchResult& branch : results) {
    const auto books = read_books(branch.shard, branch.result);
    if (!books) return std::nullopt;
    all.insert(books->begin(), books->end());
  }
  if (all.size() != accounts_) return std::nullopt;
  return all;
}

std::optional<bool> Bank::read_leg(const WorkResult& result) {
  if (result.size() != 1) return std::nullopt;
  return !result[0].rows.empty();
}

std::optional<Journal> Bank::read_journal(GroupId shard, const std::vector<TxnId>& txns,
                                          const WorkResult& result) const {
  Journal journal;
  if (sql()) {
    if (result.size() != 1) return std::nullopt;
    for (const auto& row : result[0].rows) {
      if (row.size() != 3 || !std::holds_alternative<std::string>(row[0])) return std::nullopt;
      const auto txn = TxnId::from_hex(std::get<std::string>(row[0]));
      const auto account = as_number(row[1]);
      const auto delta = as_number(row[2]);
      if (!txn || !account || !delta) return std::nullopt;
      journal[*txn][static_cast<AccountId>(*account)] = *delta;
    }
    return journal;
  }
  const std::vector<AccountId> mine = accounts_of(shard);
  if (result.size() != txns.size() * mine.size()) return std::nullopt;
  for (std::size_t i = 0; i < result.size(); ++i) {
    if (result[i].rows.empty()) continue;
    const auto delta = got_number(result[i]);
    if (!delta) return std::nullopt;
    journal[txns[i / mine.size()]][mine[i % mine.size()]] = *delta;
  }
  return journal;
}

}  // namespace assent::sim
