#include "sim/log_checker.h"

#include "base/digest.h"

namespace assent::sim {

bool LogChecker::applied(const Life& life, GroupId group, const Entry& entry) {
  judge_order(life, group, entry);
  auto& log = logs_[group];
  const Place place{entry.epoch, entry.stamp,
                    Digest().add(static_cast<std::uint64_t>(entry.kind)).add(entry.payload).value()};
  const std::size_t at = static_cast<std::size_t>(entry.index.value) - 1;
  if (at < log.size()) {
    const Place& known = log[at];
    if (known.epoch != place.epoch || known.stamp != place.stamp || known.digest != place.digest) {
      recorder_.wrong(
          fmt::format("L1 agreement: node {} applied an entry of epoch {} at index {} of group {}, where an entry of "
                      "epoch {} with other content was applied before",
                      life.node, entry.epoch, entry.index, group, known.epoch));
    }
    return false;
  }
  if (at > log.size()) {
    recorder_.wrong(fmt::format("L1 agreement: node {} applied index {} of group {} while nobody has applied index {}",
                                life.node, entry.index, group, log.size() + 1));
    return false;
  }
  if (!log.empty() && (log.back().epoch > place.epoch || log.back().stamp > place.stamp)) {
    recorder_.wrong(fmt::format("L2 stamps: epoch or stamp goes back at index {} of group {}", entry.index, group));
  }
  log.push_back(place);
  return true;
}

void LogChecker::judge_order(const Life& life, GroupId group, const Entry& entry) {
  Progress& progress = progress_[{life, group}];
  if (entry.index != progress.applied.next()) {
    recorder_.wrong(fmt::format("order: node {} applied index {} of group {} after index {}", life.node, entry.index,
                                group, progress.applied));
  }
  progress.applied = entry.index;
}

void LogChecker::restored(const Life& life, GroupId group, Index index) {
  Progress& progress = progress_[{life, group}];
  if (index < progress.applied) {
    recorder_.wrong(fmt::format("order: node {} went back from index {} of group {} to a snapshot of index {}",
                                life.node, progress.applied, group, index));
  }
  if (index.value > logs_[group].size()) {
    recorder_.wrong(
        fmt::format("L1 agreement: node {} restored a snapshot of group {} up to index {}, which nobody has applied",
                    life.node, group, index));
  }
  progress.applied = index;
}

void LogChecker::leads(const Life& life, GroupId group, Epoch epoch) {
  const auto [found, fresh] = leaders_[group].emplace(epoch, life);
  if (!fresh && found->second != life) {
    recorder_.wrong(fmt::format("L3 one leader: node {} leads epoch {} of group {}, which node {} led before",
                                life.node, epoch, group, found->second.node));
  }
}

void LogChecker::status(const Life& life, GroupId group, Index applied, Index committed) {
  Progress& progress = progress_[{life, group}];
  if (committed < progress.committed) {
    recorder_.wrong(fmt::format("R6: the commit index of group {} on node {} went back from {} to {}", group, life.node,
                                progress.committed, committed));
  }
  if (applied < progress.applied) {
    recorder_.wrong(fmt::format("order: node {} says that it applied index {} of group {} after it applied {}",
                                life.node, applied, group, progress.applied));
  }
  if (applied.value > logs_[group].size()) {
    recorder_.wrong(fmt::format("order: node {} says that it applied index {} of group {}, which nobody has applied",
                                life.node, applied, group));
  }
  progress.committed = committed;
}

void LogChecker::state_digest(const Life& life, GroupId group, Index applied, std::uint64_t digest) {
  const auto [found, fresh] = digests_[group].try_emplace(applied, digest, life.node);
  if (!fresh && found->second.first != digest) {
    recorder_.wrong(fmt::format("digests: nodes {} and {} hold different states of group {} at index {}",
                                found->second.second, life.node, group, applied));
  }
}

Index LogChecker::newest(GroupId group) const {
  const auto found = logs_.find(group);
  return found == logs_.end() ? Index{} : Index(found->second.size());
}

Epoch LogChecker::newest_epoch(GroupId group) const {
  const auto found = leaders_.find(group);
  return found == leaders_.end() || found->second.empty() ? Epoch{} : found->second.rbegin()->first;
}

}  // namespace assent::sim
