#include "participant/escrow.h"

#include <algorithm>
#include <limits>

namespace assent {

namespace {

WideSum taken(const CounterAdd& add) { return std::min<WideSum>(add.delta, 0); }
WideSum given(const CounterAdd& add) { return std::max<WideSum>(add.delta, 0); }

constexpr WideSum int_min = std::numeric_limits<std::int64_t>::min();
constexpr WideSum int_max = std::numeric_limits<std::int64_t>::max();

void insert(std::vector<WideSum>& ascending, WideSum bound) {
  ascending.insert(std::upper_bound(ascending.begin(), ascending.end(), bound), bound);
}
void erase(std::vector<WideSum>& ascending, WideSum bound) {
  ascending.erase(std::lower_bound(ascending.begin(), ascending.end(), bound));
}

const std::string* key_of(const Operation& operation) {
  return std::visit(
      [](const auto& one) -> const std::string* {
        if constexpr (requires { one.key; }) return &one.key;
        return nullptr;
      },
      operation);
}

}  // namespace

EscrowTable::Pending EscrowTable::pending(std::string_view counter) const {
  const auto found = by_counter_.find(counter);
  if (found == by_counter_.end()) return {};
  const Counter& one = found->second;
  return Pending{.down = one.down, .up = one.up, .low = one.lows.back(), .high = one.highs.front()};
}

void EscrowTable::acquire(const TxnId& holder, std::span<const CounterAdd> adds) {
  if (adds.empty()) return;
  by_holder_[holder].assign(adds.begin(), adds.end());
  for (const CounterAdd& add : adds) {
    Counter& counter = by_counter_[add.key];
    counter.down += taken(add);
    counter.up += given(add);
    insert(counter.lows, add.low + taken(add));
    insert(counter.highs, add.high + given(add));
  }
}

void EscrowTable::release(const TxnId& holder) {
  const auto found = by_holder_.find(holder);
  if (found == by_holder_.end()) return;
  for (const CounterAdd& add : found->second) {
    const auto place = by_counter_.find(add.key);
    Counter& counter = place->second;
    counter.down -= taken(add);
    counter.up -= given(add);
    erase(counter.lows, add.low + taken(add));
    erase(counter.highs, add.high + given(add));
    if (counter.lows.empty()) by_counter_.erase(place);
  }
  by_holder_.erase(found);
}

void EscrowTable::add_to(Digest& digest) const {
  digest.add(by_holder_.size());
  for (const auto& [holder, adds] : by_holder_) {
    digest.add(holder).add(adds.size());
    for (const CounterAdd& add : adds) {
      digest.add(add.key).add(static_cast<std::uint64_t>(add.delta));
      digest.add(static_cast<std::uint64_t>(add.low)).add(static_cast<std::uint64_t>(add.high));
    }
  }
}

EscrowTable::Pending together(const EscrowTable::Pending& a, const EscrowTable::Pending& b) {
  return {.down = a.down + b.down, .up = a.up + b.up, .low = std::max(a.low, b.low), .high = std::min(a.high, b.high)};
}

// The worst subset for a lower bound is all that take, and none that give. Of a pending one's own bound its own add is
// no part, which is why lows and highs have it added.
bool fits(std::int64_t value, const CounterAdd& add, const EscrowTable::Pending& pending) {
  const WideSum least = value + pending.down;
  const WideSum most = value + pending.up;
  return least >= add.low && most <= add.high && least + taken(add) >= pending.low && most + given(add) <= pending.high;
}

bool join(CounterAdd& all, const KvAdd& next) {
  if (__builtin_add_overflow(all.delta, next.delta, &all.delta)) return false;
  const WideSum low = WideSum{next.floor.value_or(std::numeric_limits<std::int64_t>::min())} - all.delta;
  const WideSum high = WideSum{next.ceiling.value_or(std::numeric_limits<std::int64_t>::max())} - all.delta;
  if (low > int_max || high < int_min) return false;
  all.low = std::max(all.low, static_cast<std::int64_t>(std::max(low, int_min)));
  all.high = std::min(all.high, static_cast<std::int64_t>(std::min(high, int_max)));
  return all.low <= all.high;
}

std::set<std::string_view> counters_of(const Work& work) {
  std::set<std::string_view> counters;
  for (const Operation& operation : work) {
    const auto* add = std::get_if<KvAdd>(&operation);
    if (add != nullptr && add->escrow) counters.insert(add->key);
  }
  if (counters.empty()) return counters;
  for (const Operation& operation : work) {
    const auto* add = std::get_if<KvAdd>(&operation);
    const std::string* key = key_of(operation);
    if (key != nullptr && (add == nullptr || !add->escrow)) counters.erase(*key);
  }
  return counters;
}

}  // namespace assent
