#include "service/outbox.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <utility>

#include "assent/v1/assent.pb.h"

namespace assent::service {

Bytes outbox_message(const std::vector<client::ServiceCall>& calls) {
  v1::ExecuteRequest out;
  for (const client::ServiceCall& call : calls) {
    v1::ServiceBranch& one = *out.add_services();
    one.set_name(call.name);
    one.set_target(call.target);
    one.set_payload(call.payload);
    one.set_participant(call.participant);
  }
  return out.SerializeAsString();
}

Result<std::vector<client::ServiceCall>> read_outbox_message(ByteView message) {
  v1::ExecuteRequest in;
  if (!in.ParseFromArray(message.data(), static_cast<int>(message.size())) || in.services().empty()) {
    return fail(ErrorCode::corruption, "is no message of outbox_message()");
  }
  std::vector<client::ServiceCall> calls;
  for (const v1::ServiceBranch& one : in.services()) {
    calls.push_back({one.name(), one.target(), one.payload(), one.participant()});
  }
  return calls;
}

OutboxRelay::OutboxRelay(OutboxStore& store, client::Client& client, OutboxOptions options,
                         std::function<void(const Relayed&)> told)
    : store_(store), client_(client), options_(options), told_(std::move(told)), thread_([this] { serve(); }) {}

OutboxRelay::~OutboxRelay() {
  {
    const std::scoped_lock lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void OutboxRelay::wake() {
  {
    const std::scoped_lock lock(mutex_);
    woken_ = true;
  }
  changed_.notify_all();
}

bool OutboxRelay::stopping() {
  const std::scoped_lock lock(mutex_);
  return stopping_;
}

void OutboxRelay::serve() {
  for (;;) {
    const Relayed found = look();
    if (told_ && (found.sent + found.waiting > 0 || !found.trouble.empty())) told_(found);
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, options_.interval, [this] { return stopping_ || woken_; });
    if (stopping_) return;
    woken_ = false;
  }
}

Relayed OutboxRelay::look() {
  Relayed all;
  std::set<std::int64_t> there;
  for (std::int64_t last = 0;;) {
    auto rows = store_.rows_after(last, options_.batch);
    if (!rows) {
      all.trouble = rows.error().message;
      return all;
    }
    if (rows->empty()) break;
    last = rows->back().sequence;
    for (OutboxRow& row : *rows) {
      if (stopping()) return all;
      there.insert(row.sequence);
      const auto pause = pauses_.find(row.sequence);
      if (pause != pauses_.end() && std::chrono::steady_clock::now() < pause->second.until) continue;
      relay(std::move(row), all);
    }
  }
  std::erase_if(pauses_, [&](const auto& pause) { return !there.contains(pause.first); });
  return all;
}

void OutboxRelay::relay(OutboxRow row, Relayed& all) {
  auto calls = read_outbox_message(row.message);
  if (!calls) return put_off(row, calls.error().message, all);
  auto id = TxnId::from_hex(row.txn_id);
  if (!id) {
    if (!renew(row, all)) return;
    id = TxnId::from_hex(row.txn_id);
  }
  client::Transaction transaction;
  transaction.id = *id;
  transaction.services = std::move(*calls);
  const auto outcome = client_.execute(std::move(transaction), options_.timeout);
  if (outcome && outcome->definite()) return settle(row, *outcome, all);
  // Not begun by this call; by an earlier one, perhaps. Or its answer was lost.
  const auto told = client_.get_outcome({.id = *id, .seal = true, .wait = {}, .group = {}}, options_.timeout);
  if (told && told->definite()) return settle(row, *told, all);
  if (told && told->state == TxnState::expired) {
    return put_off(
        row,
        "the cluster does not know any more what came of its transaction: look, and remove the row or clear its txn_id",
        all);
  }
  put_off(row, outcome ? outcome->note : outcome.error().text(), all);
}

bool OutboxRelay::renew(OutboxRow& row, Relayed& all) {
  const std::string id = client::new_txn_id().to_hex();
  const Result<bool> assigned = store_.assign(row, id);
  if (!assigned) all.trouble = assigned.error().message;
  if (!assigned || !*assigned) return false;
  row.txn_id = id;
  return true;
}

void OutboxRelay::settle(const OutboxRow& row, const client::TxnOutcome& outcome, Relayed& all) {
  if (outcome.committed()) {
    if (auto removed = store_.remove(row); !removed) return put_off(row, removed.error().message, all);
    pauses_.erase(row.sequence);
    all.sent += 1;
    return;
  }
  const client::Abort& abort = outcome.abort;
  put_off(row, fmt::format("{}{}{}", abort.participant, abort.participant.empty() ? "" : ": ", abort.message), all);
  OutboxRow next = row;
  static_cast<void>(renew(next, all));  // where it fails the old id is sent again, and answered "aborted" again
}

void OutboxRelay::put_off(const OutboxRow& row, std::string why, Relayed& all) {
  Pause& pause = pauses_[row.sequence];
  pause.length = std::clamp(2 * pause.length, options_.interval, std::max(options_.interval, options_.pause_max));
  pause.until = std::chrono::steady_clock::now() + pause.length;
  all.waiting += 1;
  all.trouble = fmt::format("message {} ({}): {}", row.sequence, row.txn_id.empty() ? "not begun" : row.txn_id, why);
}

}  // namespace assent::service
