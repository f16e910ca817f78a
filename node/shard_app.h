// The application of a shard group: Shard over a Store, with its Caretaker over the ResourceManager that shows the same
// rows. The store holds the machine's records and the applied index in one atomic unit; the machine is loaded from it.
#pragma once

#include <concepts>
#include <memory>

#include "node/app.h"
#include "node/application.h"
#include "participant/caretaker.h"
#include "participant/shard.h"
#include "participant/store.h"

namespace assent {

struct ShardAppOptions {
  ShardOptions shard;          // equal on all replicas; self is filled in
  CaretakerOptions caretaker;  // self is filled in
};

class ShardBinding {
 public:
  using Command = Shard::Command;
  using Applied = Shard::Applied;

  ShardBinding(const ShardOptions& options, std::unique_ptr<Store> store) : shard_(options), store_(std::move(store)) {}

  // Makes the machine what the store says.
  [[nodiscard]] Result<void> load();

  [[nodiscard]] static Result<Command> decode(ByteView bytes) { return decode_shard_command(bytes); }
  [[nodiscard]] Result<Applied> apply(const EntryContext& context, const Command& command);
  void skip(Index index) { store_->set_applied(index); }
  [[nodiscard]] Index applied() const { return store_->applied(); }
  [[nodiscard]] Result<void> batch_applied() { return store_->checkpoint(); }
  [[nodiscard]] Result<void> let_go() { return store_->let_go(); }
  [[nodiscard]] Result<Bytes> snapshot() { return store_->snapshot(); }
  [[nodiscard]] Result<void> restorable(const SnapshotMark& mark, ByteView data) const;
  [[nodiscard]] Result<std::optional<SnapshotMade>> snapshot_step(std::size_t bytes) {
    return store_->snapshot_step(bytes);
  }
  void drop_snapshot() { store_->drop_snapshot(); }
  [[nodiscard]] Result<void> restore(const SnapshotMark& mark, ByteView data);
  // Of rows and records; the machine is a function of the records.
  [[nodiscard]] Result<std::uint64_t> digest() { return store_->digest(); }
  // What a failed store refuses is told to nobody: the node ends.
  [[nodiscard]] Result<void> healthy() const { return store_->healthy(); }
  [[nodiscard]] ApplicationStatus status() const;

  [[nodiscard]] const Shard& machine() const { return shard_; }
  [[nodiscard]] const Store& store() const { return *store_; }

 private:
  Shard shard_;
  std::unique_ptr<Store> store_;
};

using ShardApp = App<ShardBinding, Caretaker>;

// resources shows the state that store has and lives as long.
[[nodiscard]] Result<std::unique_ptr<Application>> make_shard_application(GroupId self, ShardAppOptions options,
                                                                          std::unique_ptr<Store> store,
                                                                          ResourceManager& resources);

// For a store that is both, as MemoryStore and SqliteStore are.
template <class S>
requires std::derived_from<S, Store> && std::derived_from<S, ResourceManager>
[[nodiscard]] Result<std::unique_ptr<Application>> make_shard_application(GroupId self, ShardAppOptions options,
                                                                          std::unique_ptr<S> store) {
  ResourceManager& resources = *store;
  return make_shard_application(self, options, std::unique_ptr<Store>(std::move(store)), resources);
}

}  // namespace assent
