// What a group replicates, at byte level: the loop knows no transactions. App<Machine, Driver> (node/app.h) gives it to
// typed machines and drivers. Called from the loop's thread only.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/log_entry.h"
#include "base/membership.h"
#include "base/result.h"
#include "base/snapshot_data.h"
#include "consensus/log_contract.h"
#include "txn_proto/sight.h"
#include "txn_proto/types.h"

namespace assent {
class TxnWatcher;
}

namespace assent {

// A message to another group, wherever its leader is.
struct GroupMessage {
  GroupId from;
  GroupId to;
  Bytes payload;
};

struct Outbox {
  std::vector<Bytes> proposals;  // commands for the own log, in order
  std::vector<GroupMessage> messages;
  std::vector<ClientReply> replies;
  std::vector<ReadId> reads;  // read barriers to request
  std::vector<ServiceCall> calls = {};

  [[nodiscard]] bool empty() const {
    return proposals.empty() && messages.empty() && replies.empty() && reads.empty() && calls.empty();
  }
};

// What an operator sees of one group's application.
struct ApplicationStatus {
  std::uint64_t prepared = 0;  // in doubt at a shard
  std::uint64_t locks = 0;
  std::uint64_t active = 0;   // attempts or waiting requests in the leader's memory
  std::uint64_t records = 0;  // decisions or registers kept
  std::uint64_t oldest_prepared_age_millis = 0;
  // Of a shard: what operators forced and did not forget yet, and how often they did each ever since the group began.
  // Replicated: the same on every replica.
  std::uint64_t heuristics = 0;
  std::uint64_t heuristic_commits = 0;
  std::uint64_t heuristic_aborts = 0;
  std::uint64_t heuristics_forgotten = 0;
};

class Application {
 public:
  virtual ~Application() = default;

  // Before apply() of an entry that this node proposed and still leads: what its round took. For bills alone.
  virtual void round_took(const RoundCost&) {}
  // A committed command entry; indices ascend, those at or below applied() are skipped by the caller. unsupported: a
  // command that this build does not know; the group stops before it diverges. Any other error is the disk's, and the
  // node stops.
  [[nodiscard]] virtual Result<void> apply(const Entry& entry) = 0;
  // A committed entry that is not for the application; it still moves applied().
  virtual void skip(Index index) = 0;
  [[nodiscard]] virtual Index applied() const = 0;
  // After each batch of applies.
  [[nodiscard]] virtual Result<void> batch_applied() = 0;
  // The group rests: memory that the next call takes again may be given back. Leading or not.
  [[nodiscard]] virtual Result<void> let_go() { return {}; }

  // Called when self_ready begins or ends. The application is a leader exactly in between.
  virtual void leadership(const Leadership& leadership) = 0;
  // The rest is called on a leader only.
  virtual void receive(GroupId from, ByteView payload) = 0;  // malformed bytes are ignored and counted
  virtual void request(const ClientRequest& request) = 0;
  virtual void refused(const Bytes& proposal, const Error& error) = 0;
  virtual void read_ready(ReadId id) = 0;  // everything up to the barrier's index is applied
  virtual void read_lost(ReadId id) = 0;
  virtual void tick() = 0;
  // For how many ticks there is nothing to do unless something comes; 0: there is something to do, or may be.
  [[nodiscard]] virtual std::uint64_t rest_ticks() const { return 0; }
  // In place of so many ticks, no more than rest_ticks() said.
  virtual void rested(std::uint64_t /*ticks*/) {}

  // ---- stale reads: on any replica, whether it leads or not ----
  // From what is applied; in_the_way as of participant/stale_query.h.
  [[nodiscard]] virtual Result<QueryAnswer> query_stale(const Query& /*query*/, std::vector<TxnId>& /*in_the_way*/) {
    return fail(ErrorCode::refused, "only shards hold rows that can be read");
  }
  [[nodiscard]] virtual bool is_prepared(const TxnId& /*txn*/) const { return false; }

  // What to do after any of the calls above. False of has_outbox(): nothing, and it need not be taken.
  [[nodiscard]] virtual bool has_outbox() const { return true; }
  [[nodiscard]] virtual Outbox take_outbox() = 0;

  [[nodiscard]] virtual Result<Bytes> snapshot() = 0;  // as of applied()
  // Whether restore() takes it: asked before anything of a peer's snapshot is kept, for what is kept must be one to
  // start from again. corruption: damaged, or of a build that this one does not know.
  [[nodiscard]] virtual Result<void> restorable(const SnapshotMark& mark, ByteView data) const = 0;
  // The same in steps between other work, each of about so many bytes: nothing while there is more to do, then the
  // whole, of what applied() was when it became so. The first step begins one; drop_snapshot() gives up what was begun,
  // and so does restore(). An application that makes its own at once takes a single step.
  [[nodiscard]] virtual Result<std::optional<SnapshotMade>> snapshot_step(std::size_t /*bytes*/) {
    auto bytes = snapshot();
    if (!bytes) return fail(std::move(bytes.error()));
    return std::optional(SnapshotMade{applied(), snapshot_of(std::move(*bytes))});
  }
  virtual void drop_snapshot() {}
  [[nodiscard]] virtual Result<void> restore(const SnapshotMark& mark, ByteView data) = 0;
  [[nodiscard]] virtual Result<std::uint64_t> digest() = 0;
  // An error of its data outside of the calls that return one: the outbox stays empty from then on, and the node ends.
  [[nodiscard]] virtual Result<void> healthy() const { return {}; }
  [[nodiscard]] virtual ApplicationStatus status() const = 0;
  // Is told, from now on, what goes in and comes out while this leads; null: nobody is. It must outlive this.
  virtual void watch(TxnWatcher*) {}
  // Which shards there are now, where that matters to it (a coordinator's leader asks all of them).
  virtual void know_shards(const std::vector<GroupId>&) {}
  // On a leader: what it sees of transactions that are not over.
  [[nodiscard]] virtual std::vector<Sight> sights(const SightQuestion&) const { return {}; }
};

enum class GroupRole : std::uint8_t { coordinator, shard, map };

struct GroupConfig {
  GroupId id;
  std::string name;  // "c0", "s1"
  GroupRole role = GroupRole::shard;
  std::vector<NodeId> members;        // the founders' nodes
  std::vector<Member> founders = {};  // with their disks; none: each has the disk that it began with
};

using ApplicationFactory = std::function<Result<std::unique_ptr<Application>>(const GroupConfig&)>;

}  // namespace assent
