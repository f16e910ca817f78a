#include "tests/consensus/host.h"

#include <algorithm>
#include <utility>

namespace assent::testing {

void Host::start() {
  ++incarnation_;
  log_ = factory_(setup_).value();  // our own disk never tells the core what it may not hear
}

Output Host::take(std::vector<ConsensusMessage>& leaving) {
  Output out = log_->take_output();
  for (const ConsensusMessage& message : out.send_now) leaving.push_back(message);
  Write write;
  write.number = out.number;
  write.needs_disk = out.needs_disk();
  write.hard_state = out.hard_state;
  write.install = out.install;
  write.append = out.append;
  write.parked = out.send_after_sync;
  if (write.needs_disk || !write.parked.empty()) queue_.push_back(std::move(write));
  release(leaving);
  return out;
}

std::size_t Host::writes() const {
  return static_cast<std::size_t>(
      std::count_if(queue_.begin(), queue_.end(), [](const Write& w) { return w.needs_disk; }));
}

void Host::release(std::vector<ConsensusMessage>& leaving) {
  while (!queue_.empty() && !queue_.front().needs_disk) {
    for (ConsensusMessage& message : queue_.front().parked) leaving.push_back(std::move(message));
    queue_.pop_front();
  }
}

void Host::sync(std::size_t count, std::vector<ConsensusMessage>& leaving) {
  std::uint64_t number = 0;
  for (; count > 0 && writes() > 0; --count) {
    release(leaving);
    apply(queue_.front());
    number = std::max(number, queue_.front().number);
    queue_.front().needs_disk = false;
    release(leaving);
  }
  if (number > 0) log_->durable(number);
}

void Host::apply(const Write& write) {
  DurableLog& disk = setup_.durable;
  if (write.hard_state) disk.hard_state = *write.hard_state;
  if (write.install) {
    disk.snapshot = *write.install;
    disk.entries.clear();
  }
  if (write.compact && write.compact->last.index > disk.snapshot.last.index) {
    std::erase_if(disk.entries, [&](const EntryPtr& e) { return e->index <= write.compact->last.index; });
    disk.snapshot = *write.compact;
  }
  if (write.append.empty()) return;
  const Index first = write.append.front()->index;
  while (!disk.entries.empty() && disk.entries.back()->index >= first) disk.entries.pop_back();
  disk.entries.insert(disk.entries.end(), write.append.begin(), write.append.end());
}

void Host::crash(std::size_t surviving) {
  log_.reset();
  for (const Write& write : queue_) {
    if (!write.needs_disk) continue;
    if (surviving-- == 0) break;
    apply(write);
  }
  queue_.clear();
}

void Host::damage(Index whole) {
  crash(0);
  auto& entries = setup_.durable.entries;
  if (entries.empty() || entries.back()->index <= whole) return;
  setup_.left = std::max(setup_.left, Position{entries.back()->epoch, entries.back()->index});
  while (!entries.empty() && entries.back()->index > whole) entries.pop_back();
}

DurableLog Host::lose_disk(std::uint64_t next_incarnation) {
  crash(0);
  newest_.reset();
  received_.clear();
  setup_.incarnation = next_incarnation;
  return std::exchange(setup_.durable, {});
}

bool Host::take_snapshot(Index index) {
  const Result<SnapshotMark> mark = log_->mark_at(index);
  if (!mark || (newest_ && newest_->last.index >= index)) return false;
  newest_ = *mark;
  log_->snapshot_taken(*mark);
  Write write;
  write.needs_disk = true;
  write.compact = *mark;
  queue_.push_back(std::move(write));
  return true;
}

void Host::store_snapshot(const SnapshotMark& mark) {
  received_.insert(mark.last);
  if (!newest_ || newest_->last.index < mark.last.index) newest_ = mark;
}

bool Host::holds(const DurableLog& disk, const Position& at) {
  if (at.index <= disk.snapshot.last.index) return true;
  const std::uint64_t place = at.index.value - disk.snapshot.last.index.value - 1;
  return place < disk.entries.size() && disk.entries[place]->epoch == at.epoch;
}

}  // namespace assent::testing
