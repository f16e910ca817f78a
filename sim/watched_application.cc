#include "sim/watched_application.h"

#include "base/digest.h"

namespace assent::sim {

Outbox WatchedApplication::take_outbox() {
  Outbox outbox = real_->take_outbox();
  if (!watcher_.loses_first_sends()) return outbox;
  std::erase_if(outbox.messages, [this](const GroupMessage& message) {
    const bool first = sent_.insert(Digest().add(message.to).add(message.payload).value()).second;
    if (first) watcher_.message_lost();
    return first;
  });
  return outbox;
}

Result<QueryAnswer> WatchedApplication::query_stale(const Query& query, std::vector<TxnId>& in_the_way) {
  auto answer = real_->query_stale(query, in_the_way);
  if (answer && in_the_way.empty()) watcher_.stale_read(query);
  return answer;
}

Result<Bytes> WatchedApplication::snapshot() {
  watcher_.snapshot_taken(real_->status());
  return real_->snapshot();
}

Result<std::optional<SnapshotMade>> WatchedApplication::snapshot_step(std::size_t bytes) {
  if (!making_since_) making_since_ = real_->applied();
  auto made = real_->snapshot_step(bytes);
  if (!made || !*made) return made;
  watcher_.snapshot_taken(real_->status());
  if ((*made)->applied > *making_since_) watcher_.snapshot_took_turns();
  making_since_.reset();
  return made;
}

void WatchedApplication::drop_snapshot() {
  making_since_.reset();
  real_->drop_snapshot();
}

Result<void> WatchedApplication::restore(const SnapshotMark& mark, ByteView data) {
  auto done = real_->restore(mark, data);
  if (done) watcher_.restored(mark.last.index, real_->status());
  return done;
}

}  // namespace assent::sim
