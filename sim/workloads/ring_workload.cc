#include "sim/workloads/ring_workload.h"

#include <fmt/format.h>

#include <charconv>
#include <map>

namespace assent::sim {
namespace {

std::string key_of(unsigned spot) { return fmt::format("ring/{}", spot); }

std::optional<unsigned> number_in(const OperationResult& result) {
  if (result.rows.size() != 1 || result.rows[0].size() != 1) return std::nullopt;
  const SqlValue& value = result.rows[0][0];
  if (const auto* integer = std::get_if<std::int64_t>(&value)) return static_cast<unsigned>(*integer);
  std::string_view text;
  if (const auto* string = std::get_if<std::string>(&value)) text = *string;
  if (const auto* blob = std::get_if<SqlBlob>(&value)) text = blob->bytes;
  unsigned out = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), out);
  if (text.empty() || parsed.ec != std::errc{} || parsed.ptr != text.data() + text.size()) return std::nullopt;
  return out;
}

}  // namespace

RingWorkload::RingWorkload(const Scene& scene)
    : scene_(scene), size_(static_cast<unsigned>(scene_.rng.between(5, 12))) {
  for (Spot spot = 0; spot < size_; ++spot) next_.push_back((spot + 1) % size_);
}

std::vector<Work> RingWorkload::opening(GroupId shard) {
  std::vector<Work> steps;
  if (sql()) steps.push_back({SqlStatement{"CREATE TABLE ring(id INTEGER PRIMARY KEY, next INTEGER NOT NULL)", {}}});
  Work load;
  for (Spot spot = 0; spot < size_; ++spot) {
    if (shard_of(spot) != shard) continue;
    const auto next = static_cast<std::int64_t>((spot + 1) % size_);
    if (sql()) {
      load.emplace_back(
          SqlStatement{"INSERT INTO ring VALUES(?1, ?2)", {SqlValue(std::int64_t{spot}), SqlValue(next)}});
    } else {
      load.emplace_back(KvPut{key_of(spot), std::to_string(next)});
    }
  }
  steps.push_back(std::move(load));
  return steps;
}

Deed RingWorkload::next(unsigned, Rng& rng) {
  if (stale_ || rng.chance(0.2)) return read_all();
  return swap(rng);
}

// ---- swaps ----

// In SQL the condition is a constraint: whoever finds another value writes none, which the column forbids.
void RingWorkload::add_change(Work& work, Spot spot, Spot from, Spot to) const {
  if (sql()) {
    work.emplace_back(
        SqlStatement{"UPDATE ring SET next = CASE WHEN next = ?2 THEN ?3 ELSE NULL END WHERE id = ?1",
                     {SqlValue(std::int64_t{spot}), SqlValue(std::int64_t{from}), SqlValue(std::int64_t{to})}});
    return;
  }
  work.emplace_back(KvExpect{key_of(spot), std::to_string(from)});
  work.emplace_back(KvPut{key_of(spot), std::to_string(to)});
}

// a -> b -> c -> d becomes a -> c -> b -> d.
Transaction RingWorkload::swap(Rng& rng) {
  const Spot a = static_cast<Spot>(rng.below(size_));
  const Spot b = next_[a];
  const Spot c = next_[b];
  const Spot d = next_[c];
  Transaction out;
  out.what = fmt::format("a swap of {} and {} behind {}", b, c, a);
  out.begin = [this, a, b, c, d](const TxnId&) {
    std::map<GroupId, Work> work;
    add_change(work[shard_of(a)], a, b, c);
    add_change(work[shard_of(b)], b, c, d);
    add_change(work[shard_of(c)], c, d, b);
    return branches_of(std::move(work));
  };
  out.ended = [this, a, b, c, d](const TxnId&, const Ended& ended) {
    if (ended.how != Ended::How::committed) {
      stale_ = true;
      return;
    }
    next_[a] = c;
    next_[c] = b;
    next_[b] = d;
    scene_.recorder.outcome("ring swapped");
  };
  return out;
}

// ---- reads ----

std::vector<Branch> RingWorkload::branches_of_read() const {
  std::map<GroupId, Work> work;
  for (Spot spot = 0; spot < size_; ++spot) {
    if (sql()) {
      work[shard_of(spot)].emplace_back(
          SqlStatement{"SELECT next FROM ring WHERE id = ?1", {SqlValue(std::int64_t{spot})}});
    } else {
      work[shard_of(spot)].emplace_back(KvGet{key_of(spot)});
    }
  }
  return branches_of(std::move(work));
}

Transaction RingWorkload::read_all() {
  Transaction out;
  out.what = "a walk round the ring";
  out.only_reads = true;
  out.begin = [this](const TxnId&) { return branches_of_read(); };
  out.ended = [this](const TxnId& txn, const Ended& ended) { saw(txn, ended); };
  return out;
}

void RingWorkload::saw(const TxnId& txn, const Ended& ended) {
  if (ended.how != Ended::How::committed || ended.answer.results.empty()) return;
  const auto ring = ring_in(ended.answer.results);
  if (!ring) return scene_.recorder.wrong(fmt::format("the walk {} round the ring has results of a wrong shape", txn));
  judge(txn, *ring);
  next_ = *ring;
  stale_ = false;
  scene_.recorder.outcome("ring walked");
}

std::optional<std::vector<RingWorkload::Spot>> RingWorkload::ring_in(const std::vector<BranchResult>& results) const {
  std::map<GroupId, const WorkResult*> by_shard;
  for (const BranchResult& branch : results) by_shard[branch.shard] = &branch.result;
  std::map<std::size_t, std::size_t> at;
  std::vector<Spot> ring;
  for (Spot spot = 0; spot < size_; ++spot) {
    const auto branch = by_shard.find(shard_of(spot));
    const std::size_t index = at[place_of(spot)]++;
    if (branch == by_shard.end() || index >= branch->second->size()) return std::nullopt;
    const auto next = number_in((*branch->second)[index]);
    if (!next || *next >= size_) return std::nullopt;
    ring.push_back(*next);
  }
  return ring;
}

void RingWorkload::judge(const TxnId& txn, const std::vector<Spot>& ring) {
  unsigned steps = 0;
  Spot spot = 0;
  do {
    spot = ring[spot];
    ++steps;
  } while (spot != 0 && steps <= size_);
  if (steps == size_) return;
  scene_.recorder.wrong(fmt::format("I1: {} sees a ring of {} in which one comes back after {} steps: {}", txn, size_,
                                    steps, fmt::join(ring, " ")));
}

std::optional<Deed> RingWorkload::last(std::size_t step) {
  if (step == 0 || step == 2) return read_all();
  if (step == 1) return swap(scene_.rng);
  return std::nullopt;
}

}  // namespace assent::sim
