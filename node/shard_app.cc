#include "node/shard_app.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace assent {

// A node with many groups opens one after the other, and most of them are not needed at once.
Result<void> ShardBinding::load() {
  if (auto done = shard_.load(*store_); !done) return done;
  return store_->let_go();
}

Result<ShardBinding::Applied> ShardBinding::apply(const EntryContext& context, const Command& command) {
  auto applied = shard_.apply(context, command, *store_);
  if (applied) store_->set_applied(context.index);
  return applied;
}

namespace {

Result<void> check_applied(const SnapshotMark& mark, const Store& store) {
  if (store.applied() == mark.last.index) return {};
  return fail(ErrorCode::corruption,
              fmt::format("a snapshot up to entry {} holds the rows as of entry {}", mark.last.index, store.applied()));
}

}  // namespace

Result<void> ShardBinding::restorable(const SnapshotMark& mark, ByteView data) const {
  const auto image = store_->image(data);
  if (!image) return fail(image.error());
  if (auto loaded = shard_.loadable(**image); !loaded) return loaded;
  return check_applied(mark, **image);
}

Result<void> ShardBinding::restore(const SnapshotMark& mark, ByteView data) {
  if (auto done = shard_.restore(*store_, data); !done) return done;
  return check_applied(mark, *store_);
}

ApplicationStatus ShardBinding::status() const {
  ApplicationStatus status;
  status.prepared = shard_.all_prepared().size();
  status.locks = shard_.locks().size();
  status.records = status.prepared + shard_.all_finished().size();
  status.heuristics = shard_.heuristics().size();
  status.heuristic_commits = shard_.heuristic_counts().commits;
  status.heuristic_aborts = shard_.heuristic_counts().aborts;
  status.heuristics_forgotten = shard_.heuristic_counts().forgotten;
  for (const auto& [txn, prepared] : shard_.all_prepared()) {
    const std::uint64_t since = prepared.prepared_at.value;
    const std::uint64_t now = std::max(shard_.stamp().value, since);
    status.oldest_prepared_age_millis = std::max(status.oldest_prepared_age_millis, now - since);
  }
  return status;
}

Result<std::unique_ptr<Application>> make_shard_application(GroupId self, ShardAppOptions options,
                                                            std::unique_ptr<Store> store, ResourceManager& resources) {
  options.shard.self = self;
  options.caretaker.self = self;
  auto binding = std::make_unique<ShardBinding>(options.shard, std::move(store));
  if (auto done = binding->load(); !done) return fail(done.error());
  Caretaker caretaker(binding->machine(), resources, options.caretaker);
  return std::make_unique<ShardApp>(self, std::move(binding), std::move(caretaker));
}

}  // namespace assent
