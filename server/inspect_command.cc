#include "server/inspect_command.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <ctime>
#include <filesystem>
#include <set>

#include "cluster/map_change.h"
#include "consensus/raft/hard_state.h"
#include "coordinator/decisions.h"
#include "server/posix_disk.h"
#include "sql_adapter/sqlite_archive.h"
#include "txn_proto/names.h"
#include "txn_proto/wire_codec.h"

namespace assent {

namespace {

std::string name_of(std::uint64_t number) { return name_of_number(number).value_or(fmt::format("#{}", number)); }

std::string names_of(const std::vector<GroupId>& groups) {
  std::vector<std::string> names;
  names.reserve(groups.size());
  for (const GroupId group : groups) names.push_back(name_of(group.value));
  return fmt::format("{}", fmt::join(names, " "));
}

std::string attempt_text(const Attempt& attempt) { return fmt::format("attempt {}.{}", attempt.epoch, attempt.number); }

std::string refusal_text(const Refusal& refusal) {
  return refusal.message.empty() ? std::string(to_string(refusal.reason))
                                 : fmt::format("{}: {:.120}", to_string(refusal.reason), refusal.message);
}

struct Describe {
  std::string operator()(const AddNode& c) const {
    return fmt::format("add node {}, peers {}, clients {}", c.node.name, c.node.peer, c.node.client);
  }
  std::string operator()(const RemoveNode& c) const { return fmt::format("remove node {}", c.name); }
  std::string operator()(const CreateShard& c) const {
    std::vector<std::string> founders;
    for (const MapFounder& founder : c.founders) founders.push_back(founder.node);
    return fmt::format("create shard {} on {}{}", c.name, fmt::join(founders, " "), c.in_ring ? ", in the ring" : "");
  }
  std::string operator()(const PutInRing& c) const {
    return fmt::format("{} {} the ring", c.shard, c.in_ring ? "joins" : "leaves");
  }
  std::string operator()(const Decide& c) const {
    return fmt::format("decide commit {} {} of {}", c.txn, attempt_text(c.attempt), names_of(c.participants));
  }
  std::string operator()(const BeginTxn& c) const {
    return fmt::format("begin {} {} {} of {}", to_string(c.mode), c.txn, attempt_text(c.attempt),
                       names_of(c.participants));
  }
  std::string operator()(const EndBranch& c) const {
    return fmt::format("end the part of service {} in {} by hand: {}", c.service.value - first_service.value + 1, c.txn,
                       c.reason);
  }
  std::string operator()(const SealOutcome& c) const {
    return fmt::format("seal {} as aborted ({})", c.txn, refusal_text(c.refusal));
  }
  std::string operator()(const EndTxns& c) const { return fmt::format("end {} transactions", c.txns.size()); }
  std::string operator()(const NoteOutcomes& c) const {
    std::string words = "note";
    for (const OutcomeNote& note : c.notes) {
      words += fmt::format(" {} {}", note.txn, note.commit ? "committed" : to_string(note.reason));
    }
    return words;
  }
  std::string operator()(const BallotWork& c) const {
    const std::string by = c.ballot.round == 0 ? std::string("its coordinator") : name_of(c.ballot.by.value);
    const std::string what = c.value == Outcome::none ? "promise" : fmt::format("accept {} in", to_string(c.value));
    return fmt::format("{} ballot {} of {} for {}", what, c.ballot.round, by, c.txn);
  }
  std::string operator()(const ForgetTxns& c) const { return fmt::format("forget {} transactions", c.txns.size()); }
  std::string operator()(const AdmitShards& c) const { return fmt::format("admit shards {}", names_of(c.shards)); }
  std::string operator()(const Tidy&) const { return "tidy"; }
  std::string operator()(const PrepareWork& c) const {
    return fmt::format("prepare {} {} for {}: {} locks, {} bytes of change", c.txn, attempt_text(c.attempt),
                       name_of(c.coordinator.value), c.effects.locks.size(), c.effects.change.size());
  }
  std::string operator()(const RefuseWork& c) const {
    return fmt::format("vote no {} {} ({})", c.txn, attempt_text(c.attempt), refusal_text(c.refusal));
  }
  std::string operator()(const ExecuteWork& c) const {
    if (c.refusal.reason != AbortReason::none)
      return fmt::format("abort {} one-phase ({})", c.txn, refusal_text(c.refusal));
    return fmt::format("commit {} one-phase: {} locks, {} bytes of change", c.txn, c.effects.locks.size(),
                       c.effects.change.size());
  }
  std::string operator()(const FinishWork& c) const {
    return fmt::format("finish {} {} with {}", c.txn, attempt_text(c.attempt), c.commit ? "commit" : "abort");
  }
  std::string operator()(const SealWork& c) const { return fmt::format("seal {}", c.txn); }
  std::string operator()(const OverrideWork& c) const {
    return fmt::format("heuristic {} of {}: {}", c.commit ? "commit" : "abort", c.txn, c.reason);
  }
  std::string operator()(const ForgetOverride& c) const {
    return fmt::format("forget what was forced on {}: {}", c.txn, c.reason);
  }
};

// Logs do not say which kind of group they are of; a shard's database does.
std::set<GroupId> shards_in(const std::string& path) {
  std::set<GroupId> shards;
  std::error_code error;
  for (const auto& file : std::filesystem::directory_iterator(std::filesystem::path(path) / "shards", error)) {
    if (file.path().extension() == ".db") shards.insert(group_id(file.path().stem().string()));
  }
  return shards;
}

std::string time_text(ClusterMillis time) {
  const auto seconds = static_cast<std::time_t>(time.value / 1'000);
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  return fmt::format("{:04}-{:02}-{:02} {:02}:{:02}:{:02} UTC", parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday,
                     parts.tm_hour, parts.tm_min, parts.tm_sec);
}

Result<std::string> describe_archive(const std::string& path) {
  SqliteArchiveOptions options;
  options.path = path;
  options.read_only = true;
  const auto archive = SqliteArchive::open(options);
  if (!archive) return fail(archive.error());
  const ArchiveMark& mark = (*archive)->mark();
  if (mark.machine.empty()) return std::string("nothing yet; it is filled from snapshot and log");
  const auto summary = summarize_machine(mark.machine);
  if (!summary) return fail(summary.error());
  std::string text = fmt::format("up to entry {}, {}: {} outcomes, {} commits and {} ballots under way", mark.applied,
                                 time_text(summary->stamp), summary->settled, summary->open, summary->balloted);
  if (summary->forgotten_up_to) text += fmt::format("; forgotten up to {}", time_text(*summary->forgotten_up_to));
  return text;
}

// What of the outcomes is in files. Damage there does no harm but to keep the node from starting.
void describe_archives(const std::string& path, Inspection& inspection) {
  std::error_code error;
  std::set<std::filesystem::path> files;
  for (const auto& file : std::filesystem::directory_iterator(std::filesystem::path(path) / "coordinators", error)) {
    if (file.path().extension() == ".db") files.insert(file.path());
  }
  for (const std::filesystem::path& file : files) {
    const auto text = describe_archive(file.string());
    const std::string name = fmt::format("coordinators/{}", file.filename().string());
    inspection.text += fmt::format("{}: {}\n", name, text ? *text : fmt::format("DAMAGED: {}", text.error().message));
    if (!text) inspection.damages.push_back(fmt::format("{}: {}", name, text.error().message));
  }
}

}  // namespace

std::string describe_map_command(std::string_view payload) {
  const Result<MapCommand> command = decode_map_command(payload);
  if (!command)
    return fmt::format("{} bytes that are no change of the map: {}", payload.size(), command.error().message);
  return fmt::format("after epoch {}: {}", command->expected, std::visit(Describe{}, command->change));
}

std::string describe_coordinator_command(std::string_view payload) {
  const Result<CoordinatorCommand> command = decode_coordinator_command(payload);
  if (!command) return fmt::format("{} bytes that are no command: {}", payload.size(), command.error().message);
  return std::visit(Describe{}, *command);
}

std::string describe_shard_command(std::string_view payload) {
  const Result<ShardCommand> command = decode_shard_command(payload);
  if (!command) return fmt::format("{} bytes that are no command: {}", payload.size(), command.error().message);
  return std::visit(Describe{}, *command);
}

Result<Inspection> inspect_directory(const std::string& path, std::size_t entries_max) {
  if (!std::filesystem::is_directory(path))
    return fail(ErrorCode::not_found, fmt::format("{} is no folder; name a node's data_dir", path));
  auto disk = PosixDisk::open_for_reading(path);
  if (!disk) return fail(std::move(disk.error()));
  InspectOptions options;
  options.entries_max = entries_max;
  options.describe_entry = [shards = shards_in(path)](GroupId group, const Entry& entry) {
    if (entry.kind == EntryKind::epoch_start) return std::string("a leader's first entry");
    if (entry.kind == EntryKind::membership) {
      const auto members = decode_membership(entry.payload);
      return members ? to_string(*members) : std::string("members that this build cannot read");
    }
    const std::string words = group == group_id(map_group_name) ? describe_map_command(entry.payload)
                              : shards.contains(group)          ? describe_shard_command(entry.payload)
                                                                : describe_coordinator_command(entry.payload);
    return fmt::format("{}: {}", name_of(group.value), words);
  };
  options.describe_hard_state = [](GroupId group, ByteView bytes) {
    const auto state = raft::decode_hard_state(bytes);
    if (!state) return fmt::format("{}: not a hard state that this build knows", name_of(group.value));
    return fmt::format("{}: term {}, voted for {}", name_of(group.value), state->term,
                       state->vote.none() ? std::string("nobody") : name_of(state->vote.node.value));
  };
  auto inspection = inspect_data_directory(**disk, options);
  if (inspection) describe_archives(path, *inspection);
  return inspection;
}

}  // namespace assent
