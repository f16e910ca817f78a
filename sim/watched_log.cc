#include "sim/watched_log.h"

namespace assent::sim {

void WatchedLog::tick() {
  real_->tick();
  for (LogWatcher* watcher : watchers_) watcher->stepped(at_, *real_);
}

void WatchedLog::receive(NodeId from, ByteView message) {
  real_->receive(from, message);
  for (LogWatcher* watcher : watchers_) watcher->received(at_, from, message, *real_);
}

Result<Position> WatchedLog::propose(Bytes command, ClusterMillis now) {
  auto position = real_->propose(std::move(command), now);
  for (LogWatcher* watcher : watchers_) watcher->stepped(at_, *real_);
  return position;
}

Result<Position> WatchedLog::change_membership(std::span<const MemberChange> changes, ClusterMillis now) {
  auto position = real_->change_membership(changes, now);
  for (LogWatcher* watcher : watchers_) watcher->stepped(at_, *real_);
  return position;
}

Result<void> WatchedLog::request_read(ReadId id) {
  auto asked = real_->request_read(id);
  if (!asked) return asked;
  for (LogWatcher* watcher : watchers_) watcher->asked_read(at_, id);
  return asked;
}

void WatchedLog::request_read_point() {
  real_->request_read_point();
  for (LogWatcher* watcher : watchers_) watcher->stepped(at_, *real_);
}

void WatchedLog::durable(std::uint64_t output_number) {
  for (LogWatcher* watcher : watchers_) watcher->synced(at_, output_number, *real_);
  real_->durable(output_number);
  for (LogWatcher* watcher : watchers_) watcher->stepped(at_, *real_);
}

Output WatchedLog::take_output() {
  Output output = real_->take_output();
  for (LogWatcher* watcher : watchers_) watcher->gave(at_, output, *real_);
  return output;
}

void WatchedLog::receive_snapshot(NodeId from, Epoch epoch, const SnapshotMark& mark) {
  real_->receive_snapshot(from, epoch, mark);
  for (LogWatcher* watcher : watchers_) {
    watcher->received_snapshot(at_, from, epoch, mark, *real_);
    watcher->stepped(at_, *real_);
  }
}

void WatchedLog::wake(const Slept& slept) {
  real_->wake(slept);
  for (LogWatcher* watcher : watchers_) watcher->stepped(at_, *real_);
}

LogFactory watch(LogFactory real, const std::vector<LogWatcher*>& watchers) {
  return [real = std::move(real), &watchers](const LogSetup& setup) -> Result<std::unique_ptr<ReplicatedLog>> {
    auto log = real(setup);
    if (!log) return log;
    const Replica at{setup.group, setup.self};
    for (LogWatcher* watcher : watchers) watcher->built(at, setup, **log);
    return std::make_unique<WatchedLog>(at, std::move(*log), watchers);
  };
}

}  // namespace assent::sim
