#include "node/map_app.h"

#include <utility>

#include "base/digest.h"
#include "cluster/map_change.h"

namespace assent {

Result<void> MapApp::apply(const Entry& entry) {
  const auto command = decode_map_command(entry.payload);
  if (!command) return fail(ErrorCode::unsupported, command.error().message);
  if (auto next = changed(map_, *command)) map_ = std::move(*next);
  applied_ = entry.index;
  return {};
}

void MapApp::leadership(const Leadership&) {}
void MapApp::receive(GroupId, ByteView) {}           // no group has anything to say to it
void MapApp::refused(const Bytes&, const Error&) {}  // it proposes nothing by itself
void MapApp::read_ready(ReadId) {}
void MapApp::read_lost(ReadId) {}

void MapApp::request(const ClientRequest& request) {
  replies_.push_back({request.id, fail(ErrorCode::unsupported, "this group keeps the cluster's map and no data")});
}

Outbox MapApp::take_outbox() {
  Outbox outbox;
  outbox.replies = std::exchange(replies_, {});
  return outbox;
}

Result<void> MapApp::restorable(const SnapshotMark&, ByteView data) const {
  if (decode_cluster_map(data)) return {};
  return fail(ErrorCode::corruption, "the snapshot of the cluster's map cannot be read");
}

Result<void> MapApp::restore(const SnapshotMark& mark, ByteView data) {
  auto map = decode_cluster_map(data);
  if (!map) return fail(ErrorCode::corruption, "the snapshot of the cluster's map cannot be read");
  map_ = std::move(*map);
  applied_ = mark.last.index;
  return {};
}

Result<std::uint64_t> MapApp::digest() { return Digest().add(encode(map_)).value(); }

ApplicationStatus MapApp::status() const {
  ApplicationStatus status;
  status.records = map_.nodes.size() + map_.groups.size();
  return status;
}

}  // namespace assent
