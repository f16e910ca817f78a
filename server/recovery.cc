#include "server/recovery.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <limits>
#include <map>
#include <memory>
#include <semaphore>
#include <utility>

#include "consensus/raft/hard_state.h"
#include "node/loop_placement.h"
#include "server/map_config.h"
#include "server/node_setup.h"
#include "server/posix_disk.h"
#include "storage/damaged_files.h"
#include "storage/data_directory.h"
#include "storage/wal.h"
#include "storage/wal_recovery.h"
#include "txn_proto/names.h"

namespace assent {

namespace {

// Sixteen million elections a generation; and an empty node must believe the epoch of the last one: cores take larger
// jumps than 2^32 for damage.
constexpr unsigned epoch_bits = 24;
constexpr std::uint64_t generations_max = 255;

// Who belongs to the group where the log ends.
Membership members_of(const DurableLog& log, const GroupConfig& group) {
  for (auto entry = log.entries.rbegin(); entry != log.entries.rend(); ++entry) {
    if ((*entry)->kind != EntryKind::membership) continue;
    if (auto members = decode_membership((*entry)->payload)) return *members;
  }
  if (!log.snapshot.members.empty()) return log.snapshot.members;
  Membership founders(group.members);
  if (!group.founders.empty()) founders.voters = group.founders;
  return founders;
}

Position last_of(const DurableLog& log) {
  return log.entries.empty() ? log.snapshot.last : Position{log.entries.back()->epoch, log.entries.back()->index};
}

// One group of this node, and what is to become of it.
struct Plan {
  GroupConfig group;
  DurableLog log;
  Membership members;
  Position lost;  // where the log ended, when entries of it were damaged; the beginning: none were
};

class Recovery {
 public:
  Recovery(const ServerConfig& config, const RecoveryOptions& options)
      : config_(config), options_(options), cluster_(cluster_view(config)) {
    cluster_.group_configs.push_back(map_group(config));
  }

  Result<RecoveryReport> run() {
    if (!std::filesystem::is_directory(config_.data_dir)) {
      return fail(ErrorCode::not_found,
                  fmt::format("there is no data directory {}: node {} has nothing to recover from", config_.data_dir,
                              config_.node_name));
    }
    if (auto read = read_directory(); !read) return fail(read.error());
    if (auto planned = plan(); !planned) return fail(planned.error());
    describe();
    if (!options_.force) {
      report_.text +=
          "nothing was changed. This is for when a majority is lost for good: as long as its nodes can be started, "
          "start "
          "them. What only they had acknowledged is lost by it, and a transaction may end differently at two groups. "
          "To "
          "do it, give --force\n";
      return report_;
    }
    if (auto written = write(); !written) return fail(written.error());
    report_.done = true;
    report_.text += fmt::format(
        "done: node {} is of generation {}. Start it; the nodes that were lost must never be started with what they "
        "had. They come back with empty directories: assentd start --rejoin --generation {}, then assentctl group "
        "add-replica GROUP NODE\n",
        config_.node_name, identity_.generation, identity_.generation);
    return report_;
  }

 private:
  Result<void> read_directory() {
    auto disk = PosixDisk::open(config_.data_dir, [this] { finished_.release(); });
    if (!disk) return fail(disk.error());
    auto identity = read_directory_identity(**disk);
    if (!identity && identity.error().code == ErrorCode::not_found) {
      return fail(ErrorCode::refused,
                  fmt::format("{} is no data directory: it has no file \"identity\"", config_.data_dir));
    }
    if (!identity) return fail(identity.error());
    if (identity->cluster != config_.cluster_name || identity->node != config_.node_name) {
      return fail(
          ErrorCode::refused,
          fmt::format("{} belongs to node \"{}\" of cluster \"{}\", and the configuration is of node \"{}\" of "
                      "cluster \"{}\"",
                      config_.data_dir, identity->node, identity->cluster, config_.node_name, config_.cluster_name));
    }
    identity_ = *identity;
    disks_.push_back(std::move(*disk));
    for (std::size_t loop = 1; loop < identity_.loops; ++loop) {
      const auto folder = (std::filesystem::path(config_.data_dir) / loop_folder(loop)).string();
      auto other = PosixDisk::open(folder, [this] { finished_.release(); });
      if (!other) return fail(other.error());
      disks_.push_back(std::move(*other));
    }
    return {};
  }

  Result<void> plan() {
    for (const std::string& name : options_.groups) {
      const bool known = std::any_of(cluster_.group_configs.begin(), cluster_.group_configs.end(),
                                     [&](const GroupConfig& group) { return group.name == name; });
      if (!known) return fail(ErrorCode::malformed, fmt::format("the configuration has no group \"{}\"", name));
    }
    if (options_.no_groups) return {};
    std::map<GroupId, DurableLog> logs;
    std::map<GroupId, Position> lost;
    for (const auto& disk : disks_) {
      const auto scan = scan_wal(*disk, WalOptions{}.folder, identity_number(identity_));
      if (!scan) return fail(scan.error());
      for (const auto& [id, group] : scan->groups) {
        logs[id] = group.durable_log();
        if (group.end() < group.lost()) lost[id] = group.lost();
      }
    }
    for (const GroupConfig& group : cluster_.group_configs) {
      const bool named = std::find(options_.groups.begin(), options_.groups.end(), group.name) != options_.groups.end();
      if (!options_.groups.empty() && !named) continue;
      Plan one{.group = group, .log = {}, .members = {}, .lost = lost[group.id]};
      if (const auto found = logs.find(group.id); found != logs.end()) one.log = found->second;
      one.members = members_of(one.log, group);
      if (one.members.votes(self())) {
        plans_.push_back(std::move(one));
      } else if (named) {
        return fail(ErrorCode::refused,
                    fmt::format("node {} does not vote in group {}, whose members are {}: recover it "
                                "on one that does",
                                config_.node_name, group.name, to_string(one.members)));
      }
    }
    if (plans_.empty()) {
      return fail(
          ErrorCode::refused,
          fmt::format("node {} votes in no group; --no-groups lets it join the next generation", config_.node_name));
    }
    return {};
  }

  void describe() {
    report_.text += fmt::format("node {} of cluster {}, generation {}\n", config_.node_name, config_.cluster_name,
                                identity_.generation);
    for (const Plan& one : plans_) {
      const Position last = last_of(one.log);
      report_.text += fmt::format("  group {}: log up to entry {} of epoch {}, {} -> this node alone\n", one.group.name,
                                  last.index, last.epoch, to_string(one.members));
      if (one.lost == Position{}) continue;
      report_.text +=
          fmt::format("    entries {} to {} are damaged: what is in them is lost\n", last.index.next(), one.lost.index);
    }
  }

  // The generation first: a node of the next one whose groups are not recovered yet only keeps to itself.
  Result<void> write() {
    const std::uint64_t generation = identity_.generation + 1;
    std::vector<std::vector<GroupUpdate>> updates(disks_.size());  // of each loop
    for (const Plan& one : plans_) {
      auto entry = recovery_entry(one.log, self(), generation);
      if (!entry) return fail(entry.error().code, fmt::format("group {}: {}", one.group.name, entry.error().message));
      GroupUpdate update;
      update.group = one.group.id;
      update.hard_state = raft::encode_hard_state({.term = entry->epoch, .vote = {}});
      update.append.push_back(std::make_shared<Entry>(std::move(*entry)));
      updates[loop_of(one.group.id, disks_.size())].push_back(std::move(update));
    }
    for (const Plan& one : plans_) {
      if (one.lost == Position{}) continue;
      if (auto aside = set_data_aside(one.group); !aside) return aside;
    }
    identity_.generation = generation;
    if (auto marked = replace_directory_identity(*disks_.front(), identity_); !marked) return marked;
    for (std::size_t loop = 0; loop < disks_.size(); ++loop) {
      if (updates[loop].empty()) continue;
      if (auto logged = log(*disks_[loop], updates[loop]); !logged) return logged;
    }
    return {};
  }

  // The application's data may hold entries that the log lost, and the log goes on in their places: data are made again
  // from snapshot and log. Nothing is deleted.
  Result<void> set_data_aside(const GroupConfig& group) {
    Disk& disk = *disks_.front();
    for (const std::string& path : application_files(group)) {
      if (const auto size = disk.size(path); !size) continue;  // it has none
      if (auto aside = set_aside(disk, path, std::numeric_limits<std::uint64_t>::max()); !aside) return aside;
    }
    return {};
  }

  // All groups of a loop in one batch: a crash leaves all of it or nothing.
  Result<void> log(Disk& disk, const std::vector<GroupUpdate>& updates) {
    WalOptions options;
    options.identity = identity_number(identity_);
    WalRecovery recovered;
    auto wal = Wal::open(disk, options, recovered);
    if (!wal) return fail(wal.error());
    const auto ticket = (*wal)->submit(updates);
    if (!ticket) return fail(ticket.error());
    while ((*wal)->durable() < *ticket) {
      finished_.acquire();
      for (const IoCompletion& completion : disk.poll()) static_cast<void>((*wal)->completed(completion));
      if (const auto failure = (*wal)->failure()) return fail(*failure);
    }
    return {};
  }

  [[nodiscard]] Member self() const { return {cluster_.self, identity_.disk}; }

  const ServerConfig& config_;
  const RecoveryOptions& options_;
  ClusterView cluster_;
  std::counting_semaphore<> finished_{0};          // the disk has something to poll
  std::vector<std::unique_ptr<PosixDisk>> disks_;  // of each loop
  DirectoryIdentity identity_;
  std::vector<Plan> plans_;
  RecoveryReport report_;
};

}  // namespace

Epoch epoch_of_generation(std::uint64_t generation) { return Epoch(generation << epoch_bits); }

Result<Entry> recovery_entry(const DurableLog& log, const Member& only, std::uint64_t generation) {
  if (generation > generations_max) {
    return fail(ErrorCode::refused, fmt::format("a cluster is recovered {} times at most", generations_max));
  }
  const Epoch epoch = epoch_of_generation(generation);
  const auto state = raft::decode_hard_state(log.hard_state);
  if (!state) return fail(ErrorCode::unsupported, "this program cannot read its term and vote");
  const Position last = last_of(log);
  if (const Epoch seen = std::max(last.epoch, state->term); seen >= epoch) {
    return fail(ErrorCode::refused,
                fmt::format("it is at epoch {} already, beyond the first of generation {}", seen, generation));
  }
  Membership members;
  members.voters = {only};
  Entry entry;
  entry.epoch = epoch;
  entry.index = Index(last.index.value + 1);
  entry.stamp = log.entries.empty() ? log.snapshot.stamp : log.entries.back()->stamp;
  entry.kind = EntryKind::membership;
  entry.payload = encode_membership(members);
  return entry;
}

Result<RecoveryReport> recover_node(const ServerConfig& config, const RecoveryOptions& options) {
  return Recovery(config, options).run();
}

}  // namespace assent
