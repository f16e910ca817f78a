#include "sim/workloads/bank_checker.h"

#include <algorithm>

namespace assent::sim {
namespace {

std::int64_t sum(const Books& books) {
  std::int64_t total = 0;
  for (const auto& [account, state] : books) total += state.balance;
  return total;
}

// Whether every account of a has moved no further than in b.
bool before_or_equal(const Books& a, const Books& b) {
  return std::all_of(a.begin(), a.end(), [&](const auto& item) { return item.second.moves <= b.at(item.first).moves; });
}

}  // namespace

void BankChecker::invoked(const Transfer& transfer) {
  if (!transfers_.emplace(transfer.txn, transfer).second) return;
  ++possible_[transfer.from];
  ++possible_[transfer.to];
}

void BankChecker::acknowledged(const Transfer& transfer) {
  if (!acknowledged_ids_.insert(transfer.txn).second) return;
  acknowledged_list_.push_back(transfer);
  ++acknowledged_[transfer.from];
  ++acknowledged_[transfer.to];
}

void BankChecker::read(const Books& books, const Floor& floor) {
  for (const auto& [account, state] : books) {
    const auto at_least = floor.find(account);
    if (at_least != floor.end() && state.moves < at_least->second) {
      recorder_.wrong(
          fmt::format("R7 stale read: account {} is read with {} moves although {} were acknowledged before the "
                      "read began",
                      account, state.moves, at_least->second));
    }
    if (state.moves > possible_[account]) {
      recorder_.wrong(fmt::format("A8 at most once: account {} has moved {} times but {} transfers ever touched it",
                                  account, state.moves, possible_[account]));
    }
    if (state.balance < 0) recorder_.wrong(fmt::format("I2: account {} is overdrawn: {}", account, state.balance));
  }
}

void BankChecker::read_all(const Books& books, const Floor& floor) {
  read(books, floor);
  if (sum(books) != bank_.total()) {
    recorder_.wrong(fmt::format("I2 conservation: a read-only transaction sees {} in all accounts together, not {}",
                                sum(books), bank_.total()));
  }
  // Snapshots of a serial history form a chain: the new one has a place between two neighbours.
  const auto place = std::find_if(snapshots_.begin(), snapshots_.end(),
                                  [&](const Books& other) { return !before_or_equal(other, books); });
  if (place != snapshots_.end() && !before_or_equal(books, *place)) {
    recorder_.wrong("I1 serializability: two read-only transactions saw two transfers in opposite orders");
  }
  snapshots_.insert(place, books);
}

void BankChecker::audit_transfer(const Transfer& transfer, const Journal& journal, const Fate* fate) {
  const auto legs = journal.find(transfer.txn);
  const std::size_t found = legs == journal.end() ? 0 : legs->second.size();
  if (found == 1)
    recorder_.wrong(fmt::format("A1 agreement: only one leg of transfer {} is in the books", transfer.txn));
  const bool committed = found == 2;
  if (committed &&
      (legs->second.at(transfer.from) != -transfer.amount || legs->second.at(transfer.to) != transfer.amount)) {
    recorder_.wrong(
        fmt::format("A8 at most once: transfer {} is in the books with other amounts than it had", transfer.txn));
  }
  if (acknowledged_ids_.contains(transfer.txn) && !committed) {
    recorder_.wrong(fmt::format("D1 durability: transfer {} was acknowledged and is not in the books", transfer.txn));
  }
  if (fate == nullptr) return;
  if (fate->committed() != committed) {
    recorder_.wrong(fmt::format("A1 agreement: transfer {} is {} by the logs but {} the books", transfer.txn,
                                fate->committed() ? "committed" : "not committed", committed ? "in" : "not in"));
  }
  if (fate->told == Outcome::aborted && committed) {
    recorder_.wrong(fmt::format("A6 honest answer: transfer {} was told aborted and is in the books", transfer.txn));
  }
}

void BankChecker::audit(const Books& books, const Journal& journal, const std::map<TxnId, Fate>& fates) {
  Books expected;
  for (AccountId account = 0; account < bank_.accounts(); ++account) expected[account].balance = Bank::opening_balance;
  for (const auto& [txn, legs] : journal) {
    if (!transfers_.contains(txn))
      recorder_.wrong(fmt::format("A8: the books hold transfer {}, which nobody asked for", txn));
    for (const auto& [account, delta] : legs) {
      expected[account].balance += delta;
      expected[account].moves += 1;
    }
  }
  for (const auto& [txn, transfer] : transfers_) {
    const auto fate = fates.find(txn);
    audit_transfer(transfer, journal, fate == fates.end() ? nullptr : &fate->second);
  }
  if (books != expected) {
    for (const auto& [account, state] : expected) {
      const auto found = books.find(account);
      if (found != books.end() && found->second == state) continue;
      recorder_.wrong(fmt::format("I2: account {} holds {} after {} moves, but its journal says {} after {}", account,
                                  found == books.end() ? 0 : found->second.balance,
                                  found == books.end() ? 0 : found->second.moves, state.balance, state.moves));
    }
  }
  if (sum(books) != bank_.total()) {
    recorder_.wrong(fmt::format("I2 conservation: {} in the end, {} in the beginning", sum(books), bank_.total()));
  }
}

}  // namespace assent::sim
