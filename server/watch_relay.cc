#include "server/watch_relay.h"

namespace assent {

void WatchRelay::requested(GroupId at, const ClientRequest& request) {
  add([at, request](TxnWatcher& watcher) { watcher.requested(at, request); });
}

void WatchRelay::received(GroupId at, GroupId from, const TxnMessage& message) {
  add([at, from, message](TxnWatcher& watcher) { watcher.received(at, from, message); });
}

void WatchRelay::applied(GroupId at, Index index, const CoordinatorCommand& command) {
  add([at, index, command](TxnWatcher& watcher) { watcher.applied(at, index, command); });
}

void WatchRelay::applied(GroupId at, Index index, const ShardCommand& command) {
  add([at, index, command](TxnWatcher& watcher) { watcher.applied(at, index, command); });
}

void WatchRelay::proposed(GroupId at, const CoordinatorCommand& command) {
  add([at, command](TxnWatcher& watcher) { watcher.proposed(at, command); });
}

void WatchRelay::proposed(GroupId at, const ShardCommand& command) {
  add([at, command](TxnWatcher& watcher) { watcher.proposed(at, command); });
}

void WatchRelay::sent(GroupId at, GroupId to, const TxnMessage& message) {
  add([at, to, message](TxnWatcher& watcher) { watcher.sent(at, to, message); });
}

void WatchRelay::replied(GroupId at, const ClientReply& reply) {
  add([at, reply](TxnWatcher& watcher) { watcher.replied(at, reply); });
}

void WatchRelay::turned(GroupId at) {
  add([at](TxnWatcher& watcher) { watcher.turned(at); });
}

void WatchRelay::refused(GroupId at) {
  add([at](TxnWatcher& watcher) { watcher.refused(at); });
}

void WatchRelay::appended(GroupId at, Index first, Index last, Wal::Ticket ticket) {
  add([=, ticket = ticket_of(loop_, ticket)](TxnWatcher& watcher) { watcher.appended(at, first, last, ticket); });
}

void WatchRelay::resigned(GroupId at) {
  add([at](TxnWatcher& watcher) { watcher.resigned(at); });
}

void WatchRelay::submitted(Wal::Ticket ticket) {
  add([ticket = ticket_of(loop_, ticket)](TxnWatcher& watcher) { watcher.submitted(ticket); });
}

void WatchRelay::synced(Wal::Ticket ticket) {
  add([ticket = ticket_of(loop_, ticket)](TxnWatcher& watcher) { watcher.synced(ticket); });
}

}  // namespace assent
