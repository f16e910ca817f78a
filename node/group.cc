#include "node/group.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/check.h"
#include "base/planted.h"
#include "base/protocol_level.h"
#include "node/txn_watcher.h"
#include "txn_proto/machine.h"

namespace assent {
namespace {

// What the disk must keep of an output, added to what the batch already holds of the same group. One update is enough:
// a newer hard state replaces the older, an install voids the entries gathered before it, entries replace a suffix.
void merge(Output& output, GroupUpdate& update) {
  if (output.hard_state) update.hard_state = std::move(output.hard_state);
  if (output.install) {
    update.append.clear();
    update.compact.reset();
    update.install = output.install;
  }
  if (output.append.empty()) return;
  const Index first = output.append.front()->index;
  while (!update.append.empty() && update.append.back()->index >= first) update.append.pop_back();
  if (update.append.empty()) {
    update.append = std::move(output.append);
  } else {
    std::move(output.append.begin(), output.append.end(), std::back_inserter(update.append));
  }
}

bool is_level_command(ByteView payload) { return !level_command().empty() && payload == level_command(); }

std::uint64_t phase_of(NodeId self, const GroupConfig& config, std::uint64_t snapshot_every) {
  const auto place = std::find(config.members.begin(), config.members.end(), self);
  if (place == config.members.end()) return 0;
  return snapshot_every * static_cast<std::uint64_t>(place - config.members.begin()) / config.members.size();
}

}  // namespace

Group::Group(GroupConfig config, NodeId self, std::unique_ptr<ReplicatedLog> log,
             std::unique_ptr<Application> application, Index snapshot, Shared shared)
    : config_(std::move(config)),
      log_(std::move(log)),
      application_(std::move(application)),
      shared_(shared),
      snapshot_(snapshot),
      snapshot_phase_(phase_of(self, config_, shared.snapshot_every)) {
  log_->set_clock(shared_.now_micros);
  mark_dirty();
  shared_.risen.push_back(this);
}

void Group::mark_dirty() {
  if (!std::exchange(dirty_, true)) shared_.dirty.push_back(this);
}

void Group::wait_on_disk() {
  if (!std::exchange(waits_on_disk_, true)) shared_.waiting_on_disk.push_back(this);
}

// ---- inputs ----

void Group::tick() {
  if (halted_) return tick_halted();
  log_->set_clock(shared_.now_micros);
  log_->set_idle(rest_ticks() > 0);
  log_->tick();
  if (leads_) application_->tick();
  if (log_->has_output() || (leads_ && application_->has_outbox()) || !stale_reads_.empty()) mark_dirty();
}

// Of the application, if it has a say and nothing else is to be done.
std::uint64_t Group::rest_ticks() const {
  if (dirty_ || saving_ || incoming_ || !waiting_.empty() || !reads_.empty() || !parting_.empty()) return 0;
  if (!stale_reads_.empty()) return 0;
  return leads_ ? application_->rest_ticks() : rest_for_ever;
}

bool Group::rest() {
  if (!log_->asleep() || !stale_reads_.empty()) return false;
  const std::uint64_t ticks = leads_ ? application_->rest_ticks() : rest_for_ever;
  if (ticks == 0) {
    resting_since_ = shared_.now_ticks;
    wake_log();
    return false;
  }
  resting_ = true;
  resting_since_ = shared_.now_ticks;
  alarm_ = ticks == rest_for_ever ? 0 : shared_.now_ticks + ticks;
  if (alarm_ != 0) shared_.alarms.emplace(alarm_, config_.id);
  used_at_rest();
  return true;
}

void Group::used_at_rest() {
  quiet_since_ = shared_.now_ticks;
  if (!std::exchange(has_turn_, true)) shared_.let_go.push_back({quiet_since_ + shared_.let_go_ticks, this});
}

Result<bool> Group::let_go() {
  has_turn_ = false;
  if (!resting_) return false;
  const std::uint64_t due = std::max(quiet_since_ + shared_.let_go_ticks, making_ ? shared_.now_ticks + 1 : 0);
  if (due > shared_.now_ticks) {
    has_turn_ = true;
    shared_.let_go.push_back({due, this});
    return false;
  }
  if (auto done = application_->let_go(); !done) return fail(named(done.error(), "its data cannot be stored"));
  return true;
}

void Group::rise() {
  if (!std::exchange(resting_, false)) return;
  if (alarm_ != 0) shared_.alarms.erase({alarm_, config_.id});
  shared_.risen.push_back(this);
  if (leads_) application_->rested(shared_.now_ticks - resting_since_);
  wake_log();
}

void Group::wake_log() {
  const std::vector<Slept::Silence> silences = shared_.peers.silences();
  log_->wake(Slept{.ticks = shared_.now_ticks - resting_since_, .silences = silences});
  if (log_->has_output()) mark_dirty();
}

void Group::node_gone(NodeId node) {
  if (!resting_ || planted(Bug::sleeper_left_alone)) return;
  if (leads_ || leader_ == node) rise();
}

void Group::receive_consensus(NodeId from, ByteView message) {
  log_->set_clock(shared_.now_micros);
  log_->receive(from, message);
  if (resting_ && !log_->asleep()) rise();
  if (log_->has_output() || !stale_reads_.empty()) mark_dirty();
}

void Group::receive(GroupId from, ByteView payload) {
  ASSENT_CHECK(leads_, "only a leader receives messages of other groups");
  rise();
  application_->receive(from, payload);
  mark_dirty();
}

void Group::request(const ClientRequest& request) {
  ASSENT_CHECK(leads_, "only a leader receives requests");
  ASSENT_CHECK(waiting_.insert(request.id).second, "a request id is used once");
  rise();
  application_->request(request);
  mark_dirty();
}

// Does not rise: what is young enough is answered without waking anybody.
void Group::read_stale(RequestId id, const Query& query) {
  stale_reads_.add(id, query, shared_.now_ticks + shared_.stale_read_ticks_max);
  mark_dirty();
}

void Group::snapshot_sent(NodeId to, bool delivered) {
  log_->snapshot_sent(to, delivered);
  mark_dirty();
}

void Group::transfer_leadership(NodeId to) {
  rise();
  log_->transfer_leadership(to);
  mark_dirty();
}

Result<Position> Group::change_membership(std::span<const MemberChange> changes, ClusterMillis now) {
  if (halted_) return fail(*halted_);
  rise();
  auto position = log_->change_membership(changes, now);
  mark_dirty();
  return position;
}

Result<Position> Group::propose(Bytes command, ClusterMillis now) {
  rise();
  auto position = log_->propose(std::move(command), now);
  mark_dirty();
  return position;
}

void Group::snapshot_damaged(const Position& last) {
  if (last.index < snapshot_) return shared_.snapshots.retire(config_.id, last);
  shared_.snapshots.suspect(config_.id, last);
  snapshot_wanted_ = true;
  rise();
  mark_dirty();
}

void Group::shorten_log() {
  if (saving_ || snapshot_ >= application_->applied()) return;
  snapshot_wanted_ = true;
  rise();
  mark_dirty();
}

void Group::write_level_command(ClusterMillis now) {
  if (level_written_ == led_) return;
  if (propose(Bytes(level_command()), now)) level_written_ = led_;
}

void Group::know_shards(const std::vector<GroupId>& shards) {
  rise();
  application_->know_shards(shards);
  mark_dirty();
}

// ---- the steps of a round ----

Outbox Group::drain(ClusterMillis now) {
  dirty_ = false;
  Outbox outbox = application_->take_outbox();
  keep_unanswered(outbox.replies);
  std::move(parting_.begin(), parting_.end(), std::back_inserter(outbox.replies));
  parting_.clear();
  if (!leads_) {
    outbox.messages.clear();
    outbox.calls.clear();
    return outbox;
  }
  for (const Bytes& proposal : outbox.proposals) {
    if (const auto position = log_->propose(proposal, now); !position) {
      application_->refused(proposal, position.error());
      if (shared_.watcher != nullptr) shared_.watcher->refused(config_.id);
      mark_dirty();
    }
  }
  if (!outbox.reads.empty()) log_->set_clock(shared_.now_micros);
  for (const ReadId read : outbox.reads) {
    if (!log_->request_read(read)) {
      application_->read_lost(read);
      mark_dirty();
    }
  }
  return outbox;
}

// Each request is answered once: a reply that nobody waits for any more is dropped.
void Group::keep_unanswered(std::vector<ClientReply>& replies) {
  std::erase_if(replies, [this](const ClientReply& reply) { return waiting_.erase(reply.id) == 0; });
}

void Group::gather(Batch& batch) {
  output_ = log_->take_output();
  const bool needs_disk = output_.needs_disk();
  if (output_.hard_state) hard_state_ = *output_.hard_state;
  if (leads_) {
    for (const EntryPtr& entry : output_.append) {
      if (entry->epoch == led_) syncs_[entry->index] = batch.ticket - std::min(batch.ticket, shared_.durable);
    }
    if (shared_.watcher != nullptr && !output_.append.empty()) {
      shared_.watcher->appended(config_.id, output_.append.front()->index, output_.append.back()->index, batch.ticket);
    }
  }
  if (needs_disk) merge(output_, update_in(batch));
  send(output_.send_now);
  park(needs_disk, batch.ticket);
}

GroupUpdate& Group::update_in(Batch& batch) {
  if (update_ticket_ != batch.ticket) {
    update_ticket_ = batch.ticket;
    update_slot_ = batch.updates.size();
    batch.updates.emplace_back().group = config_.id;
  }
  return batch.updates[update_slot_];
}

// An output without need of the disk waits for the last one that has it.
void Group::park(bool needs_disk, Wal::Ticket coming) {
  if (!needs_disk && parked_.empty()) {
    send(output_.send_after_sync);
    log_->durable(output_.number);
    return;
  }
  const Wal::Ticket ticket = needs_disk ? coming : parked_.back().ticket;
  if (parked_.empty() || parked_.back().ticket != ticket) parked_.emplace_back().ticket = ticket;
  wait_on_disk();
  Parked& parked = parked_.back();
  parked.output = output_.number;
  std::move(output_.send_after_sync.begin(), output_.send_after_sync.end(), std::back_inserter(parked.messages));
}

void Group::send(const std::vector<ConsensusMessage>& messages) {
  for (const ConsensusMessage& message : messages) {
    shared_.peers.queue(message.to, ConsensusItem{config_.id, message.bytes});
  }
}

bool Group::durable(Wal::Ticket ticket) {
  while (!parked_.empty() && parked_.front().ticket <= ticket) {
    send(parked_.front().messages);
    log_->durable(parked_.front().output);
    parked_.pop_front();
    mark_dirty();
  }
  if (drop_ && drop_->ticket <= ticket) {
    shared_.snapshots.drop_before(config_.id, drop_->before);
    drop_.reset();
  }
  waits_on_disk_ = !parked_.empty() || drop_;
  return waits_on_disk_;
}

Result<void> Group::advance(ClusterMillis now) {
  if (auto well = application_->healthy(); !well && !data_damaged_) {
    const Error error = named(well.error(), "its data cannot be read");
    if (error.code != ErrorCode::corruption || !shared_.remakes) return fail(error);
    data_damaged_ = true;
    halt(error);
  }
  if (halted_) return advance_halted();
  const Output output = std::exchange(output_, Output{});
  if (output.leadership && leads_ && (!output.leadership->self_ready || output.leadership->epoch != led_)) {
    resign(*output.leadership);
  }
  if (output.install) {
    if (auto done = install(*output.install); !done) return done;
  }
  if (auto done = apply(output.committed, now); !done) return done;
  if (output.membership) shared_.router.members(config_.id, output.membership->nodes());
  if (output.leadership) change_leadership(*output.leadership);
  serve_reads(output);
  serve_stale_reads();
  for (const SnapshotSend& send : output.snapshots_to_send) send_snapshot(send);
  return snapshot_due() ? take_snapshot() : Result<void>{};
}

// ---- who leads ----

void Group::resign(const Leadership& next) {
  leads_ = false;
  syncs_.clear();
  reads_.clear();
  Leadership over = next;
  over.self_ready = false;
  application_->leadership(over);
  Outbox last = application_->take_outbox();
  keep_unanswered(last.replies);
  std::move(last.replies.begin(), last.replies.end(), std::back_inserter(parting_));
  for (const RequestId id : waiting_) {
    parting_.push_back({id, fail(ErrorCode::unknown_outcome,
                                 "the leader resigned before it answered; ask for the outcome", next.leader)});
  }
  waiting_.clear();
  if (shared_.watcher != nullptr) shared_.watcher->resigned(config_.id);
  mark_dirty();
}

void Group::change_leadership(const Leadership& next) {
  leader_ = next.leader;
  shared_.router.believe(config_.id, next);
  if (shared_.observer.leadership) shared_.observer.leadership(config_.id, next);
  if (!next.self_ready || leads_) return;
  if (halted_) return give_leadership_away();
  leads_ = true;
  led_ = next.epoch;
  application_->leadership(next);
  mark_dirty();
}

// ---- applying ----

RoundCost Group::take_round(const Entry& entry, ClusterMillis now) {
  const auto found = syncs_.find(entry.index);
  if (found == syncs_.end()) return {};
  const RoundCost round{.syncs = found->second, .millis = now.value - std::min(now.value, entry.stamp.value)};
  syncs_.erase(found);
  return round;
}

Result<void> Group::apply(const std::vector<EntryPtr>& committed, ClusterMillis now) {
  if (halted_) return {};  // by the snapshot before them
  const Index before = application_->applied();
  Index applied = before;
  for (const EntryPtr& entry : committed) {
    bytes_since_snapshot_ += entry->payload.size();
    if (entry->index <= applied) continue;
    if (entry->index != applied.next()) {
      return fail(named({ErrorCode::corruption, fmt::format("its data ends at entry {}", applied), {}},
                        fmt::format("entry {} is the next one committed", entry->index)));
    }
    const RoundCost round = take_round(*entry, now);
    if (entry->kind == EntryKind::command && !is_level_command(entry->payload)) {
      if (leads_) application_->round_took(round);
      if (auto done = application_->apply(*entry); !done) {
        const Error error = named(done.error(), fmt::format("entry {} cannot be applied", entry->index));
        if (error.code != ErrorCode::unsupported) return fail(error);
        halt(error);
        break;
      }
    } else {
      if (entry->kind == EntryKind::command && shared_.levels != nullptr) {
        const auto noted = shared_.levels->raise(config_.id, protocol_level());
        if (!noted) return fail(named(noted.error(), "the protocol level of its data cannot be noted"));
      }
      application_->skip(entry->index);
    }
    applied = entry->index;
    if (shared_.observer.applied) shared_.observer.applied(config_.id, *entry);
  }
  if (!committed.empty()) mark_dirty();  // the core hands out a bounded part at a time: there may be more
  if (applied == before) return {};
  if (auto done = application_->batch_applied(); !done) return fail(named(done.error(), "its data cannot be stored"));
  return {};
}

// ---- what this program does not know ----

void Group::halt(const Error& why) {
  halted_ = why;
  if (!leads_) return;
  Leadership over;
  over.epoch = led_;
  resign(over);
  give_leadership_away();
}

// The log's time goes on: without it this replica would be loyal to a dead leader for ever, and its vote may be needed.
void Group::tick_halted() {
  log_->set_clock(shared_.now_micros);
  log_->set_idle(false);
  log_->tick();
  if (log_->status().leadership.self_ready) give_leadership_away();
  if (log_->has_output() || !stale_reads_.empty()) mark_dirty();
}

// Whoever is level with this log takes over fastest.
void Group::give_leadership_away() {
  const LogStatus log = log_->status();
  const PeerProgress* best = nullptr;
  for (const PeerProgress& peer : log.peers) {
    if (!log.members.votes(peer.member) || !peer.recently_active) continue;
    if (best == nullptr || peer.match > best->match) best = &peer;
  }
  if (best != nullptr) transfer_leadership(best->member.node);
}

// What concerns others goes on; what was committed is kept in the log for a program that knows it.
Result<void> Group::advance_halted() {
  const Output output = std::exchange(output_, Output{});
  if (output.membership) shared_.router.members(config_.id, output.membership->nodes());
  if (output.leadership) change_leadership(*output.leadership);
  serve_stale_reads();
  for (const SnapshotSend& send : output.snapshots_to_send) snapshot_sent(send.to, false);
  if (!output.committed.empty()) mark_dirty();
  return {};
}

void Group::serve_reads(const Output& output) {
  if (!leads_) return;  // whoever resigned has answered
  for (const ReadId read : output.reads_lost) {
    application_->read_lost(read);
    mark_dirty();
  }
  reads_.insert(reads_.end(), output.reads.begin(), output.reads.end());
  while (!reads_.empty() && reads_.front().index <= application_->applied()) {
    application_->read_ready(reads_.front().id);
    reads_.pop_front();
    mark_dirty();
  }
}

void Group::serve_stale_reads() {
  if (stale_reads_.empty()) return;
  log_->set_clock(shared_.now_micros);
  const std::size_t before = parting_.size();
  stale_reads_.serve(*log_, *application_, shared_.now_ticks, parting_);
  if (resting_) used_at_rest();
  if (!stale_reads_.empty() || !log_->asleep()) rise();  // what it waits for comes with ticks
  if (parting_.size() != before || log_->has_output()) mark_dirty();
}

// ---- snapshots ----

bool Group::snapshot_due() const {
  if (saving_ || halted_) return false;
  if (snapshot_wanted_) return true;
  const std::uint64_t every = shared_.snapshot_every;
  const Index applied = application_->applied();
  if (every == 0 || applied <= snapshot_) return false;
  return bytes_since_snapshot_ >= shared_.snapshot_log_bytes ||
         (applied.value + snapshot_phase_) / every != (snapshot_.value + snapshot_phase_) / every;
}

Result<void> Group::take_snapshot() {
  const auto mark = log_->mark_at(application_->applied());
  if (!mark) return {};  // the application is ahead of what the log has handed out since the start: later
  if (shared_.snapshot_step_bytes > 0) {
    making_ = saving_ = true;
    making_since_ = application_->applied();
    shared_.making.push_back(this);
    return {};
  }
  auto data = application_->snapshot();
  if (!data) return fail(named(data.error(), "a snapshot cannot be taken"));
  snapshot_wanted_ = false;
  bytes_since_snapshot_ = 0;
  saving_own_ = true;
  return save(*mark, snapshot_of(std::move(*data)));
}

Result<bool> Group::step_snapshot() {
  if (!making_) return false;
  auto made = application_->snapshot_step(shared_.snapshot_step_bytes);
  if (!made) return fail(named(made.error(), "a snapshot cannot be taken"));
  if (!*made) return true;
  making_ = saving_ = false;
  mark_dirty();
  const Index holds = planted(Bug::stale_snapshot_mark) ? making_since_ : (*made)->applied;
  const auto mark = log_->mark_at(holds);
  if (!mark) {  // as in take_snapshot()
    auto next = save_incoming();
    return next ? Result<bool>(false) : fail(next.error());
  }
  snapshot_wanted_ = false;
  bytes_since_snapshot_ = 0;
  saving_own_ = true;
  auto begun = save(*mark, std::move((*made)->data));
  return begun ? Result<bool>(false) : fail(begun.error());
}

// What replaces the application's data makes what was copied of them worthless.
Result<void> Group::give_up_making() {
  if (!std::exchange(making_, false)) return {};
  saving_ = false;
  std::erase(shared_.making, this);
  application_->drop_snapshot();
  return save_incoming();
}

Result<void> Group::save(const SnapshotMark& mark, SnapshotDataPtr data) {
  saving_ = true;
  if (auto begun = shared_.snapshots.save(config_.id, mark, std::move(data)); !begun) {
    return fail(named(begun.error(), "a snapshot cannot be stored"));
  }
  return {};
}

Result<void> Group::save_incoming() {
  return incoming_ ? save(incoming_->mark, std::move(incoming_->data)) : Result<void>{};
}

Result<void> Group::snapshot_saved(const SnapshotMark& mark, Batch& batch) {
  saving_ = false;
  mark_dirty();
  if (!std::exchange(saving_own_, false)) {
    if (halted_) incoming_.reset();
    if (!incoming_) return {};
    log_->receive_snapshot(incoming_->from, incoming_->epoch, mark);
    incoming_.reset();
    return {};
  }
  if (mark.last.index > snapshot_) {
    snapshot_ = mark.last.index;
    update_in(batch).compact = mark;
    drop_ = Drop{batch.ticket, mark};
    wait_on_disk();
    log_->snapshot_taken(mark);
  }
  return save_incoming();
}

Result<void> Group::receive_snapshot(NodeId from, SnapshotTransfer&& transfer) {
  if (halted_) return {};
  log_->set_clock(shared_.now_micros);
  rise();
  mark_dirty();
  if (transfer.mark.last.index <= log_->status().committed) {  // nothing to keep; the core tells its leader so
    log_->receive_snapshot(from, transfer.epoch, transfer.mark);
    return {};
  }
  if (incoming_) return {};  // one at a time; the leader sends again what is still missing
  const auto fine = application_->restorable(transfer.mark, transfer.data);
  // What a newer program made is kept: install() halts the group, and that program goes on from it.
  if (!fine && fine.error().code != ErrorCode::unsupported) {
    ++snapshots_refused_;  // and the leader, which hears nothing, sends it again
    if (shared_.observer.snapshot_refused) shared_.observer.snapshot_refused(config_.id, from, fine.error());
    return {};
  }
  incoming_ = Incoming{from, transfer.epoch, std::move(transfer.mark), snapshot_of(std::move(transfer.data))};
  return saving_ ? Result<void>{} : save_incoming();
}

// The stored log ends; the snapshot takes its place. An application that is already further needs nothing.
Result<void> Group::install(const SnapshotMark& mark) {
  if (auto done = give_up_making(); !done) return done;
  if (application_->applied() < mark.last.index) {
    const auto snapshot = shared_.snapshots.load(config_.id, mark);
    if (!snapshot) return fail(named(snapshot.error(), "a received snapshot cannot be read"));
    if (auto done = application_->restore(mark, snapshot->data); !done) {
      const Error error = named(done.error(), "a received snapshot cannot be restored");
      if (error.code != ErrorCode::unsupported) return fail(error);
      halt(error);
    }
  }
  snapshot_ = std::max(snapshot_, mark.last.index);
  bytes_since_snapshot_ = 0;
  drop_ = Drop{update_ticket_, mark};
  wait_on_disk();
  return {};
}

void Group::send_snapshot(const SnapshotSend& send) {
  auto newest = shared_.snapshots.newest(config_.id);
  if (newest && *newest) {
    Snapshot& snapshot = **newest;
    shared_.transport.send_snapshot(
        send.to, SnapshotTransfer{config_.id, send.epoch, std::move(snapshot.mark), std::move(snapshot.data)});
    return;
  }
  if (!newest && newest.error().code == ErrorCode::corruption) ++snapshots_damaged_;
  snapshot_wanted_ = true;  // gone or damaged: the application can make another
  snapshot_sent(send.to, false);
}

// ---- the end ----

std::vector<ClientReply> Group::part() {
  stale_reads_.give_up(parting_);
  return std::exchange(parting_, {});
}

// ---- what others see ----

GroupStatus Group::status() const {
  return GroupStatus{config_, log_->status(), application_->applied(), application_->status(), halted_};
}

Error Group::named(Error error, std::string_view doing) const {
  error.message = fmt::format("group {}: {}: {}", config_.name, doing, error.message);
  return error;
}

}  // namespace assent
