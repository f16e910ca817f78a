#include "sim/snapshot_courier.h"

#include <algorithm>

#include "base/digest.h"

namespace assent::sim {
namespace {
constexpr int attempts_max = 3;
}

void SnapshotCourier::start(Way way, SnapshotTransfer transfer) {
  const std::shared_ptr<SnapshotCourier> self(new SnapshotCourier(std::move(way), std::move(transfer)));
  self->ask();
}

SnapshotCourier::SnapshotCourier(Way way, SnapshotTransfer transfer)
    : way_(std::move(way)),
      transfer_(std::move(transfer)),
      label_{transfer_.group, transfer_.mark, transfer_.data.size(), xxh3(transfer_.data)} {}

void SnapshotCourier::then(Micros delay, void (SnapshotCourier::*step)()) {
  way_.schedule.after(delay, [self = shared_from_this(), step] { (self.get()->*step)(); });
}

SnapshotParts* SnapshotCourier::receiver() {
  const Receiver now = way_.receiver();
  return now.life == life_ ? now.parts : nullptr;
}

// How much of it is there: a question and its answer.
void SnapshotCourier::ask() {
  const auto there = way_.network.stream_part(way_.from, way_.to);
  const auto back = way_.network.stream_part(way_.to, way_.from);
  if (there.lost || back.lost) return then(there.delay + back.delay, &SnapshotCourier::broken);
  way_.schedule.after(there.delay, [self = shared_from_this(), back] {
    const Receiver now = self->way_.receiver();
    if (now.parts == nullptr) return self->broken();
    self->life_ = now.life;
    self->sent_ = now.parts->held(self->label_);
    self->then(back.delay, &SnapshotCourier::open);
  });
}

void SnapshotCourier::open() {
  SnapshotParts* const parts = receiver();
  if (parts == nullptr) return broken();
  const auto stream = parts->begin(label_, sent_);
  if (!stream) return broken();
  stream_ = *stream;
  if (sent_ > 0) {
    way_.recorder.say("node {} goes on with the snapshot of group {} for node {} from byte {} of {}", way_.from,
                      label_.group, way_.to, sent_, label_.size);
    way_.recorder.rare("snapshot went on where its stream had broken");
  }
  next();
}

void SnapshotCourier::next() {
  const auto fate = way_.network.stream_part(way_.from, way_.to);
  if (sent_ == label_.size) return then(fate.delay, fate.lost ? &SnapshotCourier::broken : &SnapshotCourier::finish);
  const std::size_t size = std::min<std::size_t>(way_.chunk_bytes, label_.size - sent_);
  way_.schedule.after(fate.delay + size / 50, [self = shared_from_this(), fate, size] { self->take(fate, size); });
}

void SnapshotCourier::take(Network::StreamPart fate, std::size_t size) {
  SnapshotParts* const parts = receiver();
  if (fate.lost || parts == nullptr || !way_.sends()) return broken();
  const ByteView sent = ByteView(transfer_.data).substr(sent_, size);
  const std::uint64_t checksum = chunk_checksum(sent_, sent);
  Bytes bytes(sent);
  if (fate.damaged && !bytes.empty()) bytes[bytes.size() / 2] ^= 4;
  const auto added = parts->add(stream_, sent_, bytes, checksum);
  if (!added) return added.error().code == ErrorCode::corruption ? again() : broken();
  if (fate.doubled && size > 0) {  // the same chunk once more: it does not begin where the last one ended
    (void)parts->add(stream_, sent_, bytes, checksum);
    return broken();
  }
  sent_ += size;
  next();
}

void SnapshotCourier::finish() {
  SnapshotParts* const parts = receiver();
  if (parts == nullptr) return broken();
  auto data = parts->finish(stream_);
  if (!data) return data.error().code == ErrorCode::corruption ? again() : broken();
  way_.arrive(SnapshotTransfer{transfer_.group, transfer_.epoch, transfer_.mark, std::move(*data)});
  const auto answer = way_.network.stream_part(way_.to, way_.from);
  way_.schedule.after(answer.delay, [self = shared_from_this(), told = !answer.lost] { self->way_.ended(told); });
}

void SnapshotCourier::broken() {
  if (SnapshotParts* const parts = receiver()) parts->leave(stream_, way_.schedule.now());
  way_.ended(false);
}

void SnapshotCourier::again() {
  if (++attempts_ >= attempts_max) return broken();
  if (SnapshotParts* const parts = receiver()) parts->leave(stream_, way_.schedule.now());
  ask();
}

}  // namespace assent::sim
