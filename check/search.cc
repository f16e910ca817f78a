#include "check/search.h"

#include <algorithm>
#include <optional>
#include <unordered_set>

#include "base/digest.h"

namespace assent::check {
namespace {

struct Cell {
  Value value;
  bool known = true;
};
using State = std::vector<Cell>;  // by place of the key among those looked at

struct StateHash {
  std::uint64_t placed = 0;  // of the set of transactions placed, by exclusive or
  std::uint64_t state = 0;
  bool operator==(const StateHash&) const = default;
};
struct HashOf {
  std::size_t operator()(const StateHash& hash) const { return hash.placed ^ (hash.state * 0x9E3779B97F4A7C15ULL); }
};

// An absent list is an empty one.
Value normal(const Value& value) {
  const auto* list = std::get_if<List>(&value);
  return list != nullptr && list->empty() ? Value() : value;
}

class Searcher {
 public:
  Searcher(const History& history, std::span<const KeyId> keys, const SearchOptions& options)
      : history_(history), options_(options), place_(history.keys.size(), absent), state_(keys.size()) {
    for (std::size_t i = 0; i < keys.size(); ++i) place_[keys[i]] = i;
    for (Cell& cell : state_) cell.known = options.first_values_known;
    gather();
  }

  SearchResult run() {
    SearchResult result;
    std::size_t entry = next_[head];
    std::size_t best = 0;
    result.stuck = blocking(entry);
    while (told_left_ > 0) {
      const Event& event = events_[entry];
      if (event.begins && place(event.op, entry)) {
        if (++result.states > options_.states_max) return give_up(result);
        entry = next_[head];
        continue;
      }
      if (event.begins) {
        entry = next_[entry];
        continue;
      }
      if (placed_.size() >= best) {
        best = placed_.size();
        result.stuck = txns_[event.op];
      }
      if (placed_.empty()) {
        result.found = SearchResult::Found::none;
        return result;
      }
      entry = take_back();
    }
    return result;
  }

 private:
  static constexpr std::size_t absent = SIZE_MAX;
  static constexpr std::size_t head = 0;

  struct Event {
    std::uint64_t at = 0;
    std::size_t op = 0;  // index into txns_
    bool begins = false;
  };
  struct Placed {
    std::size_t op;
    std::size_t entry;
    State before;
  };

  static SearchResult give_up(SearchResult result) {
    result.found = SearchResult::Found::gave_up;
    return result;
  }

  [[nodiscard]] TxnIndex blocking(std::size_t entry) const { return events_.size() > 1 ? txns_[events_[entry].op] : 0; }

  void gather() {
    events_.push_back({});
    for (TxnIndex i = 0; i < history_.transactions.size(); ++i) {
      const Transaction& txn = history_.transactions[i];
      const bool touches =
          std::any_of(txn.ops.begin(), txn.ops.end(), [this](const Op& op) { return place_[op.key] != absent; });
      if (txn.end == EventType::fail || !touches) continue;
      events_.push_back({txn.invoked, txns_.size(), true});
      if (txn.end == EventType::ok) {
        events_.push_back({txn.ended, txns_.size(), false});
        ++told_left_;
      }
      txns_.push_back(i);
    }
    std::sort(events_.begin() + 1, events_.end(), [](const Event& a, const Event& b) { return a.at < b.at; });
    next_.resize(events_.size() + 1);
    previous_.resize(events_.size() + 1);
    end_of_.resize(txns_.size(), absent);
    for (std::size_t i = 0; i < events_.size(); ++i) {
      next_[i] = i + 1;
      previous_[i + 1] = i;
      if (i > 0 && !events_[i].begins) end_of_[events_[i].op] = i;
    }
  }

  void unlink(std::size_t entry) {
    next_[previous_[entry]] = next_[entry];
    previous_[next_[entry]] = previous_[entry];
  }
  void link(std::size_t entry) {
    next_[previous_[entry]] = entry;
    previous_[next_[entry]] = entry;
  }

  // Puts the transaction next in the order, if what it read allows it and the state is a new one.
  bool place(std::size_t op, std::size_t entry) {
    State before = state_;
    const StateHash hash = apply(history_.transactions[txns_[op]]) ? hash_with(op) : StateHash{};
    if (hash == StateHash{} || !seen_.insert(hash).second) {
      state_ = std::move(before);
      return false;
    }
    placed_hash_ = hash.placed;
    placed_.push_back({op, entry, std::move(before)});
    unlink(entry);
    if (end_of_[op] != absent) {
      unlink(end_of_[op]);
      --told_left_;
    }
    return true;
  }

  // The entry to go on with.
  std::size_t take_back() {
    Placed last = std::move(placed_.back());
    placed_.pop_back();
    if (end_of_[last.op] != absent) {
      link(end_of_[last.op]);
      ++told_left_;
    }
    link(last.entry);
    placed_hash_ ^= mark(last.op);
    state_ = std::move(last.before);
    return next_[last.entry];
  }

  static std::uint64_t mark(std::size_t op) { return Digest().add(std::uint64_t{op} + 1).value() | 1U; }

  [[nodiscard]] StateHash hash_with(std::size_t op) const {
    Digest digest;
    for (const Cell& cell : state_) {
      digest.add(std::uint64_t{cell.known ? 1U : 0U}).add(std::uint64_t{cell.value.index()});
      if (const auto* number = std::get_if<Number>(&cell.value)) digest.add(static_cast<std::uint64_t>(*number));
      if (const auto* list = std::get_if<List>(&cell.value)) {
        digest.add(std::uint64_t{list->size()});
        for (const Number element : *list) digest.add(static_cast<std::uint64_t>(element));
      }
    }
    return {placed_hash_ ^ mark(op), digest.value()};
  }

  bool apply(const Transaction& txn) {
    for (const Op& op : txn.ops) {
      if (place_[op.key] == absent) continue;
      Cell& cell = state_[place_[op.key]];
      if (op.kind == OpKind::read) {
        if (txn.end != EventType::ok) continue;
        const Value seen = normal(op.value);
        if (cell.known && cell.value != seen) return false;
        cell = {seen, true};
      } else {
        change(cell, op);
      }
    }
    return true;
  }

  static void change(Cell& cell, const Op& op) {
    const auto* number = std::get_if<Number>(&op.value);
    if (op.kind == OpKind::write) {
      cell = {op.value, number != nullptr};
    } else if (cell.known && number != nullptr && op.kind == OpKind::append) {
      if (!std::holds_alternative<List>(cell.value)) cell.value = List{};
      std::get<List>(cell.value).push_back(*number);
    } else if (cell.known && number != nullptr) {
      const auto* now = std::get_if<Number>(&cell.value);
      cell.value = Number((now == nullptr ? 0 : *now) + *number);
    }
  }

  const History& history_;
  const SearchOptions options_;
  std::vector<std::size_t> place_;  // of a key in state_
  State state_;
  std::vector<TxnIndex> txns_;
  std::vector<Event> events_;  // events_[0] is the list's head
  std::vector<std::size_t> next_;
  std::vector<std::size_t> previous_;
  std::vector<std::size_t> end_of_;
  std::size_t told_left_ = 0;  // transactions with an end that are not placed
  std::vector<Placed> placed_;
  std::uint64_t placed_hash_ = 0;
  std::unordered_set<StateHash, HashOf> seen_;
};

}  // namespace

SearchResult search_order(const History& history, std::span<const KeyId> keys, const SearchOptions& options) {
  return Searcher(history, keys, options).run();
}

SearchResult search_order(const History& history, const SearchOptions& options) {
  std::vector<KeyId> keys(history.keys.size());
  for (KeyId key = 0; key < keys.size(); ++key) keys[key] = key;
  return search_order(history, keys, options);
}

}  // namespace assent::check
