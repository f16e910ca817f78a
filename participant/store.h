// Two seams of a shard: the Store keeps its replicated data, the ResourceManager runs work on the leader to find out
// what it would do. MemoryStore (participant/) has key-value operations only; sql_adapter has SQLite behind both.
// Called from the loop's thread.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/log_entry.h"
#include "base/result.h"
#include "base/snapshot_data.h"
#include "txn_proto/types.h"

namespace assent {

// Replicated data of one shard: the rows, and the machine's own records in the same atomic unit with the applied index.
// An error other than the documented ones is the disk's and ends the process.
//
// Everything between two checkpoint() calls becomes durable together or not at all; the log replays what was lost, from
// applied() on. Reads always see every change made so far.
class Store {
 public:
  virtual ~Store() = default;

  // Would the change still find the rows as its author saw them? conflict otherwise: with the same words on every
  // replica.
  [[nodiscard]] virtual Result<void> check(ByteView change) const = 0;
  // Makes the change. The caller holds its locks and check() passed under them, so that it cannot fail for content.
  [[nodiscard]] virtual Result<void> install(ByteView change) = 0;

  // The whole number in a counter, named as in CounterAdd; a key that is absent counts as 0. conflict when there is
  // none.
  [[nodiscard]] virtual Result<std::int64_t> counter(std::string_view key) const = 0;
  // Adds to it. The caller holds it in escrow and has judged the bounds, so that it cannot fail for content.
  [[nodiscard]] virtual Result<void> add(std::string_view key, std::int64_t delta) = 0;

  // Records of the machine by transaction: opaque, small, kept beside the data.
  [[nodiscard]] virtual Result<void> put_record(const TxnId& txn, ByteView record) = 0;
  [[nodiscard]] virtual Result<void> erase_record(const TxnId& txn) = 0;
  [[nodiscard]] virtual Result<std::map<TxnId, Bytes>> records() const = 0;
  // One more opaque record that belongs to no transaction.
  [[nodiscard]] virtual Result<void> put_machine_record(ByteView record) = 0;
  [[nodiscard]] virtual Result<Bytes> machine_record() const = 0;

  // An error of the disk, also one that an evaluation met: nothing that this says can be trusted any more.
  [[nodiscard]] virtual Result<void> healthy() const { return {}; }
  [[nodiscard]] virtual Index applied() const = 0;
  virtual void set_applied(Index index) = 0;
  // The end of a batch of applies: the store may make what it holds durable now, or gather further batches.
  [[nodiscard]] virtual Result<void> checkpoint() = 0;

  // Nothing is expected for a while: what is gathered becomes durable as by a checkpoint that gathers no further, and
  // memory that the next call can take again may be given back.
  [[nodiscard]] virtual Result<void> let_go() { return {}; }

  // All of it, as of applied().
  [[nodiscard]] virtual Result<Bytes> snapshot() = 0;
  // The same in steps, each of about so many bytes, between which the store is used as ever: nothing while there is
  // more to do, then the whole as of applied(). drop_snapshot(), and restore(), give up what was begun.
  [[nodiscard]] virtual Result<std::optional<SnapshotMade>> snapshot_step(std::size_t /*bytes*/) {
    auto bytes = snapshot();
    if (!bytes) return fail(std::move(bytes.error()));
    return std::optional(SnapshotMade{applied(), snapshot_of(std::move(*bytes))});
  }
  virtual void drop_snapshot() {}
  // Replaces all of it. corruption when the bytes are not a snapshot; the old content is gone only on success.
  [[nodiscard]] virtual Result<void> restore(ByteView snapshot) = 0;
  // What such bytes would make of it, as a store of its own in memory. corruption as above.
  [[nodiscard]] virtual Result<std::unique_ptr<Store>> image(ByteView snapshot) const = 0;
  // Equal for equal rows and records, whatever pages they lie on.
  [[nodiscard]] virtual Result<std::uint64_t> digest() = 0;
};

struct Evaluation {
  Effects effects;
  WorkResult result;
  std::vector<std::int64_t> counters = {};      // those of effects.adds, as they stand
  std::vector<std::string> counter_names = {};  // what people call them; empty: as in effects.adds
};

// Runs work on the leader's applied state, leaves no trace, and says what would change and what must be locked.
class ResourceManager {
 public:
  virtual ~ResourceManager() = default;

  // A Refusal (with participant unset) when the work violates a constraint or cannot be run at all.
  [[nodiscard]] virtual tl::expected<Evaluation, Refusal> evaluate(const Work& work) = 0;
  // Read-only work. The locks say what it read, so that the caller can wait for prepared transactions that hold them.
  [[nodiscard]] virtual tl::expected<Evaluation, Refusal> query(const Work& work) = 0;

  // What people call the thing that a lock of an evaluation is on: one line of UTF-8, at most sight_key_bytes_max.
  [[nodiscard]] virtual std::string lock_name(ByteView key) const = 0;
};

}  // namespace assent
