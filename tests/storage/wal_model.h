// A dumb twin of the WAL's meaning, and what the WAL's tests share: random batches, a driver that waits for the disk.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/rng.h"
#include "sim/sim_disk.h"
#include "storage/wal.h"

namespace assent::storage_test {

struct ModelGroup {
  Bytes hard_state;
  SnapshotMark mark;
  std::vector<Entry> entries;

  bool operator==(const ModelGroup&) const = default;
};

struct Model {
  std::map<std::uint64_t, ModelGroup> groups;

  bool operator==(const Model&) const = default;

  [[nodiscard]] std::uint64_t last(std::uint64_t group) const {
    const auto found = groups.find(group);
    if (found == groups.end()) return 0;
    return found->second.mark.last.index.value + found->second.entries.size();
  }

  void apply(const std::vector<GroupUpdate>& batch) {
    for (const GroupUpdate& update : batch) {
      ModelGroup& group = groups[update.group.value];
      if (update.left) group = {group.hard_state, {}, {}};
      if (update.hard_state) group.hard_state = *update.hard_state;
      if (update.install) group = {group.hard_state, *update.install, {}};
      for (const EntryPtr& entry : update.append) {
        std::erase_if(group.entries, [&](const Entry& stored) { return stored.index >= entry->index; });
        if (entry->index > group.mark.last.index) group.entries.push_back(*entry);
      }
      if (update.compact && update.compact->last.index > group.mark.last.index) {
        group.mark = *update.compact;
        std::erase_if(group.entries, [&](const Entry& stored) { return stored.index <= group.mark.last.index; });
      }
    }
  }
};

inline Model model_of(const WalRecovery& recovered) {
  Model model;
  for (const auto& [id, log] : recovered.groups) {
    ModelGroup group{log.hard_state, log.snapshot, {}};
    for (const EntryPtr& entry : log.entries) group.entries.push_back(*entry);
    model.groups[id.value] = group;
  }
  return model;
}

inline std::string summary(const Model& model) {
  std::string text;
  for (const auto& [id, group] : model.groups) {
    text += fmt::format("[{}: hs '{}' mark {} entries", id, group.hard_state, group.mark.last.index);
    for (const Entry& entry : group.entries) text += fmt::format(" {}/{}", entry.index, entry.epoch);
    text += "] ";
  }
  return text;
}

inline EntryPtr make_entry(std::uint64_t epoch, std::uint64_t index, Bytes payload) {
  return std::make_shared<const Entry>(
      Entry{Epoch(epoch), Index(index), ClusterMillis(1'000 + index), EntryKind::command, std::move(payload)});
}

inline SnapshotMark make_mark(std::uint64_t epoch, std::uint64_t index) {
  return {{Epoch(epoch), Index(index)}, ClusterMillis(1'000 + index), {NodeId(1), NodeId(2), NodeId(3)}};
}

inline GroupUpdate append(std::uint64_t group, std::vector<EntryPtr> entries) {
  GroupUpdate update;
  update.group = GroupId(group);
  update.append = std::move(entries);
  return update;
}

// A batch that a set of cores might make: they append, replace suffixes, vote, compact and install.
inline std::vector<GroupUpdate> random_batch(Rng& rng, const Model& model, std::uint64_t epoch) {
  std::vector<GroupUpdate> batch;
  const std::uint64_t groups = 1 + rng.below(3);
  for (std::uint64_t i = 0; i < groups; ++i) {
    GroupUpdate update;
    update.group = GroupId(i + 1);
    const auto known = model.groups.find(i + 1);
    const std::uint64_t mark = known == model.groups.end() ? 0 : known->second.mark.last.index.value;
    std::uint64_t last = model.last(i + 1);
    if (rng.chance(0.3)) update.hard_state = fmt::format("vote {} {}", epoch, rng.below(100));
    if (rng.chance(0.03)) {
      last = last + rng.below(10);
      update.install = make_mark(epoch, std::max(last, mark));
      last = std::max(last, mark);
    } else if (rng.chance(0.8)) {
      std::uint64_t first = last + 1;
      if (rng.chance(0.15) && last > mark) first = rng.between(mark + 1, last);
      const std::uint64_t count = 1 + rng.below(4);
      for (std::uint64_t k = 0; k < count; ++k) {
        update.append.push_back(
            make_entry(epoch, first + k, Bytes(rng.below(60), static_cast<char>('a' + rng.below(26)))));
      }
      last = first + count - 1;
    }
    if (!update.install && rng.chance(0.15) && last > mark) update.compact = make_mark(epoch, rng.between(mark, last));
    if (update.hard_state || update.install || update.compact || !update.append.empty())
      batch.push_back(std::move(update));
  }
  return batch;
}

// Until the batch is durable or the WAL failed. The disk is one without latency.
inline bool settle(Wal& wal, Disk& disk) {
  while (!wal.idle() && !wal.failure()) {
    const auto completions = disk.poll();
    if (completions.empty()) return false;  // the power is off
    for (const IoCompletion& completion : completions) EXPECT_TRUE(wal.completed(completion));
  }
  return !wal.failure();
}

inline WalOptions small_options(std::uint64_t segment_bytes = 4096, std::uint64_t block_bytes = 512) {
  WalOptions options;
  options.segment_bytes = segment_bytes;
  options.block_bytes = block_bytes;
  options.identity = 77;
  return options;
}

}  // namespace assent::storage_test
