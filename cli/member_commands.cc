// assentctl group members|add-replica|promote|remove-replica|replace: who belongs to a group.
//
// Each is a few steps, and each step is one change that the group's leader takes or refuses by itself: a command that
// was cut off in the middle is given again, and goes on where the first one stopped. A new member is a learner first;
// it votes once it has caught up, so that nothing waits for it meanwhile.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "cli/session.h"

namespace assent::cli {

namespace {

using Clock = std::chrono::steady_clock;
using client::MemberChange;
using client::MemberView;
using client::ReplicaStatus;

constexpr std::chrono::milliseconds poll_every{100};
constexpr std::chrono::seconds tell_every{2};
constexpr std::uint64_t lag_max = 1'000;  // entries; the leader's own limit for who becomes a voter

const MemberView* find(const ReplicaStatus& status, const std::string& node, std::uint64_t disk) {
  const auto found = std::find_if(status.membership.begin(), status.membership.end(),
                                  [&](const MemberView& member) { return member.node == node && member.disk == disk; });
  return found == status.membership.end() ? nullptr : &*found;
}

bool votes(const MemberView* member) { return member != nullptr && member->role == "voter"; }

// Nothing is under way: whatever stands there stays.
bool settled(const ReplicaStatus& status) {
  return status.membership_committed &&
         std::none_of(status.membership.begin(), status.membership.end(),
                      [](const MemberView& member) { return member.role == "incoming" || member.role == "outgoing"; });
}

// One command at work on one group.
class Change {
 public:
  Change(const Session& session, std::string group, std::chrono::milliseconds wait)
      : session_(session), group_(std::move(group)), deadline_(Clock::now() + wait) {}

  // What the group's leader says now; waits for one.
  client::Result<ReplicaStatus> look() {
    return await("a leader", [](const ReplicaStatus&) { return true; });
  }

  // The disk that the node has now: it is asked itself. One that is only starting is waited for.
  client::Result<std::uint64_t> disk_of(const std::string& node) {
    for (Clock::time_point told = Clock::now();; std::this_thread::sleep_for(poll_every)) {
      const client::Result<client::ClusterStatus> status = session_.client.status();
      const client::NodeView* view = status ? status->node(node) : nullptr;
      if (view != nullptr && view->reachable) return view->disk;
      if (status && view == nullptr) {
        return client::fail(client::ErrorCode::not_found,
                            fmt::format("there is no node {} in this cluster; name it in cluster.peers of every node, "
                                        "and start it",
                                        node));
      }
      const std::string trouble = view == nullptr ? status.error().message : view->trouble;
      if (Clock::now() >= deadline_) {
        return client::fail(client::ErrorCode::unreachable,
                            fmt::format("node {} does not answer ({}); start it", node, trouble));
      }
      tell_now_and_then(told, fmt::format("waiting for {} to answer ({})", node, trouble));
    }
  }

  client::Result<void> make(std::vector<MemberChange> changes) {
    const client::Result<Position> done = session_.client.change_members(group_, std::move(changes));
    if (!done) return tl::unexpected(done.error());
    const client::Result<ReplicaStatus> after = await("the change to be committed", &settled);
    if (!after) return tl::unexpected(after.error());
    return {};
  }

  // Adds it as a learner unless it is one, and returns once it may vote.
  client::Result<void> teach(const std::string& node, std::uint64_t disk) {
    const client::Result<ReplicaStatus> now = look();
    if (!now) return tl::unexpected(now.error());
    if (find(*now, node, disk) == nullptr) {
      if (auto added = make({{"learner", node, disk}}); !added) return added;
      say(fmt::format("{} is a learner of {}: it is sent everything and votes on nothing", node, group_));
    }
    const client::Result<ReplicaStatus> ready =
        await(fmt::format("{} to catch up", node), [&](const ReplicaStatus& status) {
          const MemberView* member = find(status, node, disk);
          return member == nullptr ||
                 (member->active && member->match_index > 0 && member->match_index + lag_max >= status.last_index);
        });
    if (!ready) return tl::unexpected(ready.error());
    if (find(*ready, node, disk) != nullptr) return {};
    return client::fail(client::ErrorCode::refused, fmt::format("somebody removed {} again meanwhile", node));
  }

  ExitCode conclude(const std::string& what) {
    const client::Result<ReplicaStatus> after = look();
    if (!after) return session_.fail(after.error());
    return print(session_, *after, what);
  }

  static ExitCode print(const Session& session, const ReplicaStatus& status, const std::string& what);

 private:
  void say(const std::string& line) const {
    if (!session_.json()) session_.console.err << line << '\n';
  }

  void tell_now_and_then(Clock::time_point& told, const std::string& line) const {
    if (Clock::now() - told < tell_every) return;
    told = Clock::now();
    say(line);
  }

  template <class Done>
  client::Result<ReplicaStatus> await(const std::string& what, const Done& done) {
    Clock::time_point told = Clock::now();
    for (;;) {
      const client::Result<client::ClusterStatus> status = session_.client.status();
      const client::GroupView* group = status ? status->group(group_) : nullptr;
      if (status && group == nullptr) {
        return client::fail(client::ErrorCode::not_found, fmt::format("no node that answers has a group {}", group_));
      }
      const ReplicaStatus* leader = group == nullptr ? nullptr : group->leader_status();
      if (leader != nullptr && done(*leader)) return *leader;
      if (Clock::now() >= deadline_) {
        return client::fail(
            client::ErrorCode::timed_out,
            fmt::format("group {}: still waiting for {}; nothing is lost, give the command again", group_, what));
      }
      tell_now_and_then(told, progress(what, leader));
      std::this_thread::sleep_for(poll_every);
    }
  }

  std::string progress(const std::string& what, const ReplicaStatus* leader) const {
    if (leader == nullptr) return fmt::format("waiting for {}: {} has no leader", what, group_);
    std::vector<std::string> parts;
    for (const MemberView& member : leader->membership) {
      parts.push_back(fmt::format("{} {} of {}", member.node, member.match_index, leader->last_index));
    }
    return fmt::format("waiting for {}: {}", what, fmt::join(parts, ", "));
  }

  const Session& session_;
  std::string group_;
  Clock::time_point deadline_;
};

ExitCode Change::print(const Session& session, const ReplicaStatus& status, const std::string& what) {
  if (session.json()) {
    session.print(Json{{"group", status.group},
                       {"leader", status.leader},
                       {"committed", status.membership_committed},
                       {"members", to_json(status.membership)}});
    return ExitCode::ok;
  }
  if (!what.empty()) session.console.out << what << '\n';
  Table table({"MEMBER", "ROLE", "DISK", "MATCH", "LAG", "ANSWERS"});
  for (const MemberView& member : status.membership) {
    const bool known = status.leads;
    table.add({member.node + (member.node == status.leader ? "*" : ""), member.role,
               member.disk == 0 ? "first" : fmt::format("{}", member.disk), known ? grouped(member.match_index) : "-",
               known ? grouped(status.last_index - std::min(status.last_index, member.match_index)) : "-",
               known ? (member.active ? "yes" : "no") : "-"});
  }
  session.print(table);
  return ExitCode::ok;
}

// What a leader refuses, or would refuse, is refused for safety's sake.
ExitCode fail(const Session& session, const client::Error& error) {
  const ExitCode code = session.fail(error);
  return error.code == client::ErrorCode::refused ? ExitCode::refused : code;
}

ExitCode refused(const Session& session, std::string why) {
  return fail(session, client::fail(client::ErrorCode::refused, std::move(why)).value());
}

}  // namespace

ExitCode run(const Session& session, const GroupMembersCommand& command) {
  const client::Result<client::ClusterStatus> status = session.client.status();
  if (!status) return fail(session, status.error());
  const client::GroupView* group = status->group(command.group);
  if (group == nullptr) {
    return fail(session, client::fail(client::ErrorCode::not_found,
                                      fmt::format("no node that answers has a group {}", command.group))
                             .value());
  }
  return Change::print(session, *group->best_status(), "");
}

ExitCode run(const Session& session, const AddReplicaCommand& command) {
  Change change(session, command.group, command.wait);
  const client::Result<ReplicaStatus> before = change.look();
  if (!before) return fail(session, before.error());
  const client::Result<std::uint64_t> disk = change.disk_of(command.node);
  if (!disk) return fail(session, disk.error());
  const MemberView* known = find(*before, command.node, *disk);
  if (votes(known)) return refused(session, fmt::format("{} votes in {} already", command.node, command.group));
  if (command.learner && known != nullptr) {
    return refused(session, fmt::format("{} is a learner of {} already", command.node, command.group));
  }
  for (const MemberView& member : before->membership) {
    if (member.node != command.node || member.disk == *disk || member.role == "learner") continue;
    return refused(session, fmt::format("{0} votes in {1} with a disk that it has lost; give: assentctl group replace "
                                        "{1} {0}",
                                        command.node, command.group));
  }
  if (auto taught = change.teach(command.node, *disk); !taught) return fail(session, taught.error());
  if (command.learner) return change.conclude(fmt::format("{} learns in {}", command.node, command.group));
  if (auto done = change.make({{"voter", command.node, *disk}}); !done) return fail(session, done.error());
  return change.conclude(fmt::format("{} votes in {}", command.node, command.group));
}

ExitCode run(const Session& session, const PromoteReplicaCommand& command) {
  Change change(session, command.group, command.wait);
  const client::Result<ReplicaStatus> before = change.look();
  if (!before) return fail(session, before.error());
  const auto learner =
      std::find_if(before->membership.begin(), before->membership.end(),
                   [&](const MemberView& member) { return member.node == command.node && member.role == "learner"; });
  if (learner == before->membership.end()) {
    return refused(session, fmt::format("{} is no learner of {}; see: assentctl group members {}", command.node,
                                        command.group, command.group));
  }
  if (auto taught = change.teach(learner->node, learner->disk); !taught) return fail(session, taught.error());
  if (auto done = change.make({{"voter", learner->node, learner->disk}}); !done) return fail(session, done.error());
  return change.conclude(fmt::format("{} votes in {}", command.node, command.group));
}

ExitCode run(const Session& session, const RemoveReplicaCommand& command) {
  Change change(session, command.group, command.wait);
  const client::Result<ReplicaStatus> before = change.look();
  if (!before) return fail(session, before.error());
  std::vector<MemberChange> changes;
  for (const MemberView& member : before->membership) {
    if (member.node == command.node) changes.push_back({"remove", member.node, member.disk});
  }
  if (changes.empty()) {
    return refused(session, fmt::format("{} is not a member of {}", command.node, command.group));
  }
  if (auto done = change.make(std::move(changes)); !done) return fail(session, done.error());
  return change.conclude(fmt::format("{} is no member of {} any more", command.node, command.group));
}

ExitCode run(const Session& session, const ReplaceReplicaCommand& command) {
  Change change(session, command.group, command.wait);
  const std::string& by = command.by.empty() ? command.node : command.by;
  const client::Result<ReplicaStatus> before = change.look();
  if (!before) return fail(session, before.error());
  const client::Result<std::uint64_t> disk = change.disk_of(by);
  if (!disk) return fail(session, disk.error());
  const auto leaves = [&](const MemberView& member) {
    return member.node == command.node && !(member.node == by && member.disk == *disk);
  };
  if (std::none_of(before->membership.begin(), before->membership.end(), leaves)) {
    return refused(session,
                   by == command.node
                       ? fmt::format("{0} still has the disk with which it belongs to {1}, or does not belong to it; a "
                                     "node that lost its disk is started with --rejoin, and another node is named "
                                     "with --by",
                                     command.node, command.group)
                       : fmt::format("{} is not a member of {}", command.node, command.group));
  }
  if (!votes(find(*before, by, *disk))) {
    if (auto taught = change.teach(by, *disk); !taught) return fail(session, taught.error());
  }
  const client::Result<ReplicaStatus> now = change.look();
  if (!now) return fail(session, now.error());
  std::vector<MemberChange> changes;
  for (const MemberView& member : now->membership) {
    if (leaves(member)) changes.push_back({"remove", member.node, member.disk});
  }
  if (!votes(find(*now, by, *disk))) changes.push_back({"voter", by, *disk});
  if (auto done = change.make(std::move(changes)); !done) return fail(session, done.error());
  return change.conclude(fmt::format("{} has taken the place of {} in {}", by == command.node ? by + "'s new disk" : by,
                                     by == command.node ? "the one that was lost" : command.node, command.group));
}

}  // namespace assent::cli
