// The loop of a node: all its groups, one write-ahead log, one frame stream per peer. Runs unchanged in the simulator;
// only disk, transport and clock are replaced. Not thread-safe: one thread calls handle(), tick() and flush().
//
//     event -> handle() -> a group's core or application -> flush():
//       1 for each dirty group: take_output(); park send_after_sync; gather hard state and entries; queue send_now
//       2 per peer: one frame with all messages of all groups
//       3 wal.submit(batch), or release parked messages at once when there is nothing to write; a quick disk is done
//       with
//         the batch now, and what waited for it leaves
//       4 apply committed; gather the outbox: proposals go back to the log, messages to groups, replies out
//       5 repeat while groups are dirty and the step budget lasts
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "consensus/log_contract.h"
#include "node/application.h"
#include "node/group_levels.h"
#include "node/limits.h"
#include "node/transport.h"
#include "storage/cold_file.h"
#include "storage/disk.h"
#include "storage/scrubber.h"
#include "storage/wal.h"

namespace assent {

struct NodeConfig {
  NodeId self;
  std::uint64_t incarnation = 0;  // grows with each start of this node; frames of an older one are dropped
  std::uint64_t seed = 0;
  std::vector<NodeId> nodes;        // all of the cluster; those that groups name need not be listed
  std::vector<GroupConfig> groups;  // all of the cluster, with their founders; this node carries those that it founds,
                                    // has on its disk, or is written to by the leader of
  std::size_t loop = 0;   // of `loops` that the node has: this one carries the groups that are its own and no others
  std::size_t loops = 1;  // (node/loop_placement.h)
  // Of the disk, in the memberships of groups: 0 for the one that the node founded its groups with. With another the
  // node belongs to no group until a leader takes it in: what it promised before is forgotten (base/membership.h).
  std::uint64_t disk = 0;
  std::uint32_t level = 0;        // the protocol level that this node uses (base/protocol_level.h)
  GroupLevels* levels = nullptr;  // what took effect on its disk; null: nothing is noted. It outlives the loop
  // A replica that was removed from its group asks its way out, and goes with all that it kept (node/leaving.h).
  bool leaves = false;
  // What an application keeps on the disk besides, as paths in the data directory: they go with their group, and are
  // set aside when they are damaged, since the application can be made again from log and snapshot.
  std::function<std::vector<std::string>(const GroupConfig&)> application_files = {};
  // Where those are; null: on the disk of the log. It outlives the loop, whose thread calls what
  // storage/damaged_files.h needs, remove() and sync_directory() of it, and nothing else.
  Disk* application_disk = nullptr;
  bool tells_leads = false;                // to its peers, each second and on change: how many groups it leads
  std::uint64_t snapshot_every = 100'000;  // applied entries between snapshots of a group; 0: never
  WalOptions wal;
  Limits limits;
};

// The newest cluster map that a node knows, for whoever may lag behind. Opaque here: node/map_app.h and the host know
// what it says.
struct MapNews {
  std::uint64_t epoch = 0;
  Bytes map;
};

// ---- events ----
struct FrameReceived {
  NodeId from;
  Bytes frame;
};
struct SnapshotReceived {
  NodeId from;
  SnapshotTransfer transfer;
};
struct SnapshotSendEnded {
  NodeId to;
  GroupId group;
  bool delivered = false;
};
struct TransportReady {  // the last frame to this peer is written
  NodeId to;
};
struct DiskProgress {};  // poll() has something
// What a service said to a ServiceCall. Lost when this node leads the group no more.
struct ServiceAnswered {
  GroupId to;    // the group that called
  GroupId from;  // the service's number
  TxnMessage message;
};
// A peer has said which protocol level it uses (base/protocol_level.h); before any frame of the same connection.
struct PeerTold {
  NodeId from;
  std::uint32_t level = 0;
};
struct TransferLeadership {
  GroupId group;
  NodeId to;
};
using Event = std::variant<FrameReceived, SnapshotReceived, SnapshotSendEnded, TransportReady, DiskProgress,
                           ClientRequest, ServiceAnswered, PeerTold, TransferLeadership>;

struct GroupStatus {
  GroupConfig config;
  LogStatus log;
  Index applied;
  ApplicationStatus application;
  std::optional<Error> halted = std::nullopt;  // what the group met here that this program does not know (node/group.h)
  std::uint32_t level = 0;                     // the lowest that a member uses, as far as this node was told
  // Entries of its log here, up to this place, were damaged and are not replaced yet: the replica neither leads nor
  // helps a log to win that ends before it.
  std::optional<Position> lost = std::nullopt;
};

// Of one that lost entries, which: "entries 3 to 9". Of a group at a start, and of one whose log was mended in part.
[[nodiscard]] std::string describe_lost(const LostEntries& lost);
[[nodiscard]] std::string describe_lost(const GroupStatus& status);

// What the scrubber of this node has to say: the host's, which reads beside the loop.
struct ScrubStatus {
  ScrubFigures figures;
  std::uint64_t last_pass_micros = 0;  // since 1970, when the last whole pass ended; 0: none in this life
  std::vector<std::string> damaged;    // what is not replaced, with what is wrong with it
};

struct LoopStatistics {
  std::uint64_t frames_sent = 0;
  std::uint64_t frame_bytes_sent = 0;
  std::uint64_t frames_received = 0;
  std::uint64_t frames_malformed = 0;
  std::uint64_t messages_dropped = 0;
  std::uint64_t local_messages = 0;     // between groups whose leaders are both here
  std::uint64_t let_go = 0;             // times that a group at rest gave memory back
  std::uint64_t snapshots_damaged = 0;  // found so when a follower needed one; another was taken in its place
  std::uint64_t snapshots_refused = 0;  // of peers: they could not be restored
  Wal::Statistics wal;
  ScrubStatus scrub;
};

class Loop {
 public:
  // Recovers from the disk. corruption and io come back as errors that name the file.
  [[nodiscard]] static Result<std::unique_ptr<Loop>> open(const NodeConfig& config, Disk& disk, Transport& transport,
                                                          Clock& clock, const LogFactory& logs,
                                                          const ApplicationFactory& applications);
  virtual ~Loop() = default;

  virtual void handle(Event event) = 0;
  virtual void tick() = 0;
  virtual void flush() = 0;

  // At the group's leader, see ReplicatedLog; not_found when there is no such group here. In force when this returns,
  // but not committed: status() tells.
  [[nodiscard]] virtual Result<Position> change_membership(GroupId group, std::span<const MemberChange> changes) = 0;

  // Puts a command into the group's log, at its leader; not_found when there is no such group here.
  [[nodiscard]] virtual Result<Position> propose(GroupId group, Bytes command) = 0;

  // ---- a cluster that changes ----
  // These are all nodes from now on, and these are groups, too: they stay for ever, and one that is known already stays
  // as it is. Founds the new ones whose founders this node is among, with its disk. The host must be able to name them
  // again at the next start, before anything that they say leaves this node.
  virtual void adopt(const std::vector<NodeId>& nodes, const std::vector<GroupConfig>& groups) = 0;
  // All shards of the cluster, for the coordinators.
  virtual void know_shards(const std::vector<GroupId>& shards) = 0;
  // The map that this node goes by. Nodes tell each other the epochs of theirs, when one changes and each second, and
  // give theirs to whoever has an older one: so every node that is heard learns the newest.
  virtual void announce(MapNews news) = 0;
  // A newer one than was announced, from a peer; the newest since the last call.
  [[nodiscard]] virtual std::optional<MapNews> take_map_news() = 0;

  // How many groups each node leads, of itself as it is and of others as they told within the last seconds: those that
  // tell (NodeConfig::tells_leads).
  [[nodiscard]] virtual std::map<NodeId, std::uint64_t> leads() const = 0;
  // So many are led in other loops of this node: told and counted with its own.
  virtual void leads_besides(std::uint64_t groups) = 0;

  // There is more to do than the last flush() did, of what is done in steps: flush() again soon, also without an event.
  [[nodiscard]] virtual bool has_more() const { return false; }
  // Answers to ClientRequests since the last call. Every request gets exactly one reply while the loop lives.
  [[nodiscard]] virtual std::vector<ClientReply> take_replies() = 0;
  // Calls to services since the last call. Each is answered by an event ServiceAnswered, or not at all: the group calls
  // again.
  [[nodiscard]] virtual std::vector<ServiceCall> take_calls() = 0;
  // Set once something failed that the node must not outlive: a disk error, damaged data.
  [[nodiscard]] virtual std::optional<Error> failure() const = 0;

  [[nodiscard]] virtual std::vector<GroupStatus> status() const = 0;
  // Of those groups alone that did anything since the last call, ascending: the first one brings all of them.
  [[nodiscard]] virtual std::vector<GroupStatus> take_news() = 0;
  [[nodiscard]] virtual LoopStatistics statistics() const = 0;
  // Of one group's application at its applied index.
  [[nodiscard]] virtual Result<std::uint64_t> application_digest(GroupId group) = 0;
  // What a group that is led here sees of transactions that are not over; nothing of any other.
  [[nodiscard]] virtual std::vector<Sight> sights(GroupId group, const SightQuestion& question) const = 0;
  // What recovery found.
  [[nodiscard]] virtual const WalRecovery& recovery() const = 0;

  // ---- damage at rest ----
  // What a scrubber may read (storage/scrubber.h): each of these stays as it is until it goes.
  [[nodiscard]] virtual std::vector<ColdFile> cold_files() const = 0;
  // A cold file turned out to be damaged. True when this node makes another in its place from what it has in memory and
  // in its databases, or a database from log and snapshot, during the next rounds: then the damaged one is set aside.
  // Harmless for a file that is gone.
  virtual bool repair(const ColdFile& file) = 0;
  // For statistics().
  virtual void scrubbed(ScrubStatus status) = 0;

  // For checkers (simulator, contract): called for each committed entry as it is applied, and for each group's
  // leadership.
  struct Observer {
    std::function<void(GroupId, const Entry&)> applied;
    std::function<void(GroupId, const Leadership&)> leadership;
    std::function<void(GroupId, NodeId from, const Error& why)> snapshot_refused = {};
    std::function<void(const GroupConfig&)> left = {};  // its replica here is gone
    std::function<void(const GroupConfig&)> remade =
        {};  // its replica here begins again, without data that are damaged
  };
  virtual void observe(Observer observer) = 0;
  // Told what the groups that are led here do (node/txn_watcher.h); null: nobody is. It must outlive the loop.
  virtual void watch(TxnWatcher* watcher) = 0;
  [[nodiscard]] virtual const Application* application(GroupId group) const = 0;
};

}  // namespace assent
