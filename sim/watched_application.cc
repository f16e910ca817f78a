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

Result<Bytes> WatchedApplication::snapshot() {
  watcher_.snapshot_taken(real_->status());
  return real_->snapshot();
}

Result<void> WatchedApplication::restore(const SnapshotMark& mark, ByteView data) {
  auto done = real_->restore(mark, data);
  if (done) watcher_.restored(mark.last.index, real_->status());
  return done;
}

}  // namespace assent::sim
