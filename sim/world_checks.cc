// How the world connects processes, clients and checkers: what is judged when an entry is applied, a leader elected, a
// node down, a request answered.
#include <algorithm>
#include <utility>

#include "node/coordinator_app.h"
#include "node/shard_app.h"
#include "participant/memory_store.h"
#include "sim/watched_application.h"
#include "sim/world.h"
#include "sql_adapter/sqlite_archive.h"
#include "sql_adapter/sqlite_store.h"
#include "txn_proto/wire_codec.h"

namespace assent::sim {
namespace {

constexpr Micros look_gap = 200 * millisecond;
constexpr unsigned looks_between_digests = 8;
constexpr Micros tick_length = 10 * millisecond;
constexpr Micros sleep_slack = 100 * millisecond;

TxnId txn_of(const ShardCommand& command) {
  return std::visit(
      [](const auto& one) {
        if constexpr (requires { one.txn; }) {
          return one.txn;
        } else {
          return TxnId{};
        }
      },
      command);
}

CoordinatorAppOptions coordinator_options(const Swarm& swarm, const std::vector<GroupId>& shards) {
  CoordinatorAppOptions options;
  options.decisions.window = TimeWindow{swarm.retention_millis, swarm.clock_skew_max_millis};
  options.decisions.history.keep_millis = std::max<std::uint64_t>(swarm.retention_millis, swarm.history_millis);
  options.decisions.history.records_max = swarm.history_records_max;
  options.pace = swarm.archive_pace;
  options.conductor.timeout_ticks = swarm.prepare_timeout_ticks;
  options.conductor.resend_ticks = swarm.retry_ticks;
  options.conductor.resend_ticks_max = swarm.retry_ticks * 5;
  options.conductor.end_ticks = swarm.end_ticks;
  options.conductor.tidy_ticks = swarm.tidy_ticks;
  options.conductor.note_ticks = std::min<std::uint64_t>(swarm.end_ticks, 20);
  options.conductor.shards = shards;
  options.conductor.ballot_ticks = swarm.resolve_ticks * 2;
  options.conductor.service_failures_max = swarm.service_failures_max;
  options.conductor.failing_ticks = swarm.failing_ticks;
  return options;
}

ShardAppOptions shard_options(const Swarm& swarm) {
  ShardAppOptions options;
  options.shard.window = TimeWindow{swarm.retention_millis, swarm.clock_skew_max_millis};
  options.caretaker.prepare_timeout_ticks = std::max<std::uint64_t>(1, swarm.prepare_timeout_ticks / 2);
  options.caretaker.resend_ticks = swarm.retry_ticks;
  options.caretaker.resend_ticks_max = swarm.retry_ticks * 5;
  options.caretaker.tidy_ticks = swarm.tidy_ticks;
  options.caretaker.tick_millis = tick_length / millisecond;
  options.caretaker.resolve_ticks = swarm.resolve_ticks;
  options.caretaker.confirm_ticks = swarm.tidy_ticks;
  return options;
}

}  // namespace

// ---- applications ----

Result<std::unique_ptr<SqliteStore>> World::open_store(Process& process, const GroupConfig& group) {
  SqliteOptions options;
  options.schemas = schemas_;
  if (!swarm_.shard_files) return SqliteStore::open(options);
  if (auto made = process.disk().make_folder("shards"); !made) return fail(made.error());
  if (auto kept = process.disk().sync_directory(""); !kept) return fail(kept.error());
  options.path = "shards/" + group.name + ".db";
  options.vfs = process.vfs().name();
  options.changes_per_commit = swarm_.changes_per_commit;
  options.wal_pages_max = swarm_.wal_pages_max;
  options.lets_go = swarm_.stores_let_go;
  options.let_go_wal_pages_max = swarm_.wal_pages_max / 4;
  auto store = SqliteStore::open(options);
  if (store && (*store)->applied() > Index(0)) {
    recorder_.rare("shard's database recovered from its file");
    logs_.restored(process.life(), group.id, (*store)->applied());
  }
  return store;
}

Result<std::unique_ptr<Application>> World::make_coordinator(Process& process, const GroupConfig& group) {
  std::vector<GroupId> shards;
  for (const GroupConfig& one : groups_) {
    if (one.role == GroupRole::shard) shards.push_back(one.id);
  }
  CoordinatorAppOptions options = coordinator_options(swarm_, shards);
  if (!swarm_.archive_files) return make_coordinator_application(group.id, std::move(options));
  if (auto made = process.disk().make_folder("coordinators"); !made) return fail(made.error());
  if (auto kept = process.disk().sync_directory(""); !kept) return fail(kept.error());
  SqliteArchiveOptions file;
  file.path = "coordinators/" + group.name + ".db";
  file.vfs = process.vfs().name();
  file.wal_pages_max = swarm_.wal_pages_max;
  auto archive = SqliteArchive::open(file);
  if (!archive) return fail(archive.error());
  const Index applied = (*archive)->mark().applied;
  if ((*archive)->first() < (*archive)->end()) recorder_.rare("outcomes recovered from a coordinator's file");
  auto application = make_coordinator_application(group.id, std::move(options), std::move(*archive));
  if (application && applied > Index(0)) logs_.restored(process.life(), group.id, applied);
  return application;
}

Result<std::unique_ptr<Application>> World::make_application(Process& process, const GroupConfig& group) {
  WatchedApplication::Watcher watcher;
  watcher.loses_first_sends = [this] { return swarm_.drop_first_sends && !healed_; };
  watcher.let_go = [this, shard = group.role == GroupRole::shard] {
    if (shard && swarm_.stores_let_go) recorder_.rare("shard's database closed while its group slept");
  };
  watcher.message_lost = [this] { recorder_.fault("first send lost"); };
  watcher.received = [this, &process, group](GroupId from, ByteView message) {
    look_at_message(process, group, from, message);
  };
  watcher.snapshot_taken = [this](const ApplicationStatus& status) {
    recorder_.outcome("snapshot taken");
    if (status.prepared > 0) recorder_.rare("snapshot taken with prepared transactions");
  };
  watcher.snapshot_took_turns = [this] { recorder_.rare("entries applied while a snapshot was made"); };
  watcher.stale_read = [this, &process, id = group.id](const Query& query) {
    if (stale_reader_) stale_reader_->read(process.node(), id, query);
  };
  watcher.restored = [this, &process, id = group.id](Index index, const ApplicationStatus& status) {
    logs_.restored(process.life(), id, index);
    if (!process.up()) return;
    recorder_.say("node {} installs a snapshot of group {} up to {}", process.node(), id, index);
    recorder_.rare("snapshot installed from a peer");
    if (status.prepared > 0) recorder_.rare("snapshot installed with prepared transactions");
  };
  Result<std::unique_ptr<Application>> real = nullptr;
  if (group.role == GroupRole::coordinator) {
    real = make_coordinator(process, group);
  } else if (swarm_.backend == Backend::memory_kv) {
    real = make_shard_application(group.id, shard_options(swarm_), std::make_unique<MemoryStore>());
  } else {
    auto store = open_store(process, group);
    if (!store) return fail(store.error());
    real = make_shard_application(group.id, shard_options(swarm_), std::move(*store));
  }
  if (!real) return real;
  return std::make_unique<WatchedApplication>(std::move(*real), std::move(watcher));
}

Register World::register_of(Process& process, GroupId shard, const TxnId& txn) const {
  const auto* watched = dynamic_cast<const WatchedApplication*>(process.loop().application(shard));
  const auto* app = watched == nullptr ? nullptr : dynamic_cast<const ShardApp*>(&watched->real());
  if (app == nullptr) return {};
  const Shard& machine = app->binding().machine();
  if (const PreparedTxn* prepared = machine.prepared(txn)) {
    return {Register::State::prepared, prepared->attempt, prepared->protocol, prepared->fingerprint,
            prepared->acceptor};
  }
  if (const FinishedTxn* finished = machine.finished(txn)) {
    const bool committed = finished->outcome == Outcome::committed;
    return {committed ? Register::State::committed : Register::State::aborted,
            finished->attempt,
            finished->protocol,
            finished->fingerprint,
            {}};
  }
  return {};
}

// The machine of the coordinator group.
const Decisions* World::decisions_of(Process& process) const {
  const auto* watched = dynamic_cast<const WatchedApplication*>(process.loop().application(office_.coordinator));
  const auto* app = watched == nullptr ? nullptr : dynamic_cast<const CoordinatorApp*>(&watched->real());
  return app == nullptr ? nullptr : &app->binding().machine();
}

// For the content that is named.
std::optional<Acceptor> World::acceptor_of(Process& process, const BallotWork& work) const {
  const Decisions* machine = decisions_of(process);
  if (machine == nullptr) return std::nullopt;
  const auto& ballots = machine->ballots();
  const auto found = ballots.find(work.txn);
  if (found == ballots.end() || found->second.fingerprint != work.fingerprint) return std::nullopt;
  return found->second.acceptor;
}

// Of a shard: a prepare that comes when its register is no longer empty. Of the coordinator: votes.
void World::look_at_message(Process& process, const GroupConfig& group, GroupId from, ByteView message) {
  const auto decoded = decode_message(message);
  if (!decoded) return;
  if (const auto* told = std::get_if<Vote>(&*decoded)) commit_trace_.vote_received(*told, from);
  const auto* attended = std::get_if<Attended>(&*decoded);
  if (attended != nullptr && !attended->running) recorder_.rare("shard in doubt asked to resolve it");
  const auto* prepare = std::get_if<Prepare>(&*decoded);
  if (prepare == nullptr || group.role != GroupRole::shard) return;
  const Register vote = register_of(process, group.id, prepare->txn);
  switch (vote.state) {
    case Register::State::empty: break;
    case Register::State::prepared:
      if (vote.attempt != prepare->attempt) recorder_.rare("prepare of a new attempt met an earlier vote");
      break;
    case Register::State::committed: recorder_.rare("late prepare met a finished transaction"); break;
    case Register::State::aborted: recorder_.rare("late prepare met a tombstone or a seal"); break;
  }
}

// ---- what the loops report ----

void World::applied(Process& process, GroupId group, const Entry& entry) {
  recorder_.trace(process.node(), group, entry.index, entry.epoch, entry.stamp, std::string_view(entry.payload));
  const bool fresh = logs_.applied(process.life(), group, entry);
  if (entry.kind != EntryKind::command) return;
  if (stale_reader_) stale_reader_->applied(group, entry.index);
  judge_command(process, group, entry, fresh);
}

void World::left(Process& process, GroupId group) {
  recorder_.say("node {} leaves group {}, which it was removed from", process.node(), group);
  recorder_.rare("removed replica gone");
  logs_.left(process.life(), group);
  durability_.left({group, process.node()});
}

void World::remade(Process& process, GroupId group) {
  recorder_.say("node {} begins group {} again without data that are damaged", process.node(), group);
  recorder_.rare("replica begun again without damaged data");
  logs_.left(process.life(), group);
}

void World::hurt(Process& process) {
  for (const GroupConfig& group : groups_) durability_.hurt({group.id, process.node()});
}

void World::judge_command(Process& process, GroupId group, const Entry& entry, bool fresh) {
  if (group == office_.coordinator) {
    if (!fresh) return;
    const auto command = decode_coordinator_command(entry.payload);
    if (!command) return recorder_.wrong("a committed command cannot be read: " + command.error().message);
    if (const auto* decide = std::get_if<Decide>(&*command)) {
      const Fate* fate = txns_.find(decide->txn);
      const bool known = fate != nullptr && (fate->committed() || fate->registers.contains(group));
      if (entry.epoch == decide->attempt.epoch && !known) commit_trace_.decided(group, *decide, entry.index);
    }
    const auto* ballot = std::get_if<BallotWork>(&*command);
    const Fate* before = ballot == nullptr ? nullptr : txns_.find(ballot->txn);
    const bool open = before == nullptr || !before->committed();
    const Decisions* machine = decisions_of(process);
    txns_.coordinator_applied(entry, *command, ballot == nullptr ? std::nullopt : acceptor_of(process, *ballot),
                              machine == nullptr ? std::nullopt : machine->forgotten_up_to());
    const Fate* fate = ballot == nullptr ? nullptr : txns_.find(ballot->txn);
    if (open && fate != nullptr && fate->by_votes)
      commit_trace_.decided_by_vote(group, ballot->txn, fate->participants, entry.index);
    return;
  }
  if (!fresh && process.life().number == 1) return;
  const auto command = decode_shard_command(entry.payload);
  if (!command) return recorder_.wrong("a committed command cannot be read: " + command.error().message);
  const TxnId txn = txn_of(*command);
  if (!fresh) {
    if (!std::holds_alternative<PrepareWork>(*command)) return;
    const Fate* fate = txns_.find(txn);
    const auto vote = fate == nullptr ? decltype(fate->registers.begin()){} : fate->registers.find(group);
    if (fate != nullptr && vote != fate->registers.end() && vote->second.state == Register::State::prepared) {
      recorder_.rare("prepared transaction recovered after a restart");
    }
    return;
  }
  if (const auto* finish = std::get_if<FinishWork>(&*command)) note_finish(group, *finish);
  const Register after = register_of(process, group, txn);
  commit_trace_.applied(group, *command, entry.index, register_before(group, txn), after);
  const Fate* before = txns_.find(txn);
  const bool open = before == nullptr || !before->committed();
  txns_.shard_applied(group, entry, *command, after);
  const Fate* fate = txns_.find(txn);
  if (open && fate != nullptr && fate->by_votes)
    commit_trace_.decided_by_vote(group, txn, fate->participants, entry.index);
}

Register World::register_before(GroupId shard, const TxnId& txn) const {
  const Fate* fate = txns_.find(txn);
  if (fate == nullptr) return {};
  const auto found = fate->registers.find(shard);
  return found == fate->registers.end() ? Register{} : found->second;
}

// Before the checker moves the register.
void World::note_finish(GroupId shard, const FinishWork& finish) {
  const Fate* fate = txns_.find(finish.txn);
  if (fate == nullptr) return;
  const auto vote = fate->registers.find(shard);
  if (vote == fate->registers.end() || vote->second.state != Register::State::prepared) return;
  const Epoch newest = logs_.newest_epoch(office_.coordinator);
  if (finish.commit && fate->by_votes) {
    recorder_.rare("commit that the votes decided");
  } else if (finish.commit && fate->decided && fate->decided->epoch < newest) {
    recorder_.rare("commit delivered by a later coordinator leader");
  }
  if (!finish.commit && !fate->no) recorder_.rare("abort presumed from the absence of a decision");
}

void World::note_resignation(Process& process, GroupId group, bool ready) {
  if (ready) {
    was_ready_.insert({process.node(), group});
    return;
  }
  if (was_ready_.erase({process.node(), group}) == 0) return;
  const auto waits = [&](const auto& item) { return item.second.node == process.node() && item.second.group == group; };
  if (std::any_of(pending_.begin(), pending_.end(), waits)) recorder_.rare("leader resigned with clients waiting");
}

void World::leadership(Process& process, GroupId group, const Leadership& leadership) {
  recorder_.trace(process.node(), group, leadership.epoch, leadership.leader);
  note_resignation(process, group, leadership.self_ready);
  if (!leadership.self_leads) return;
  logs_.leads(process.life(), group, leadership.epoch);
  if (!leadership.self_ready) return;
  recorder_.say("node {} leads group {} in epoch {}", process.node(), group, leadership.epoch);
  const auto* application = process.loop().application(group);
  if (application != nullptr && application->status().prepared > 0) {
    recorder_.rare("prepared transaction outlives a leader of its shard");
  }
}

void World::before_crash(const std::vector<Process*>& victims) {
  bool prepared = false;
  for (Process* process : victims) {
    if (!process->up()) continue;
    for (const GroupStatus& status : process->loop().status()) {
      prepared = prepared || status.application.prepared > 0;
      if (status.log.asleep && status.log.leadership.self_leads) recorder_.rare("leader crashed while its group slept");
      if (status.config.id == office_.coordinator && status.log.leadership.self_ready && txns_.undelivered() > 0) {
        recorder_.rare("coordinator leader crashed with decisions not delivered");
      }
    }
  }
  if (prepared && victims.size() == processes_.size()) recorder_.rare("all nodes crashed with prepared transactions");
}

void World::went_down(Process& process) {
  std::erase_if(was_ready_, [&](const auto& key) { return key.first == process.node(); });
  for (auto item = pending_.begin(); item != pending_.end();) {
    if (item->second.node != process.node()) {
      ++item;
      continue;
    }
    if (lines_.chance(0.5)) {
      network_.client(
          [reply = item->second.reply] { reply(fail(ErrorCode::unknown_outcome, "the connection was lost")); });
    }
    item = pending_.erase(item);
  }
  if (stale_reader_) stale_reader_->went_down(process.node());
  nemesis_->went_down(process);
}

// ---- requests ----

void World::carry(const Client::Call& call, Client::Reply reply) {
  if (stale_reader_) stale_reader_->saw(call.group, call.body);
  network_.client([this, call, reply = std::move(reply)] {
    Process& process = *processes_.at(call.node);
    if (!process.up()) {
      const bool silent = !lines_.chance(0.7);
      if (silent && !healed_) return;  // a host that is gone; once healed it is back, only the process is not
      return network_.client([reply] { reply(fail(ErrorCode::cancelled, "the connection was refused")); });
    }
    const RequestId id(++last_request_);
    const bool reused = call.reused && std::holds_alternative<Execute>(call.body);
    pending_[id] = Pending{call.node, reused, call.group, reply};
    process.deliver(ClientRequest{id, call.group, call.body});
  });
}

void World::replied(Process& process, ClientReply reply) {
  if (stale_reader_ && stale_reader_->asked(reply.id)) return stale_reader_->heard(process, reply);
  const auto found = pending_.find(reply.id);
  if (found == pending_.end() || found->second.node != process.node()) {
    return recorder_.wrong(
        fmt::format("node {} answered a request that nobody asked, or answered twice", process.node()));
  }
  const Pending pending = std::move(found->second);
  pending_.erase(found);
  if (reply.answer) {
    if (const auto* answer = std::get_if<TxnAnswer>(&*reply.answer)) {
      recorder_.trace(answer->txn, static_cast<std::uint64_t>(answer->state));
      recorder_.say("node {} answers for group {}: {} is {}{}", process.node(), pending.group, answer->txn,
                    to_string(answer->state), answer->state == TxnState::aborted ? ", " + answer->refusal.message : "");
      commit_trace_.told(pending.group, *answer);
      if (stale_reader_ && answer->state == TxnState::committed) stale_reader_->told(answer->txn);
      txns_.told(pending.group, *answer, pending.reused);
    }
  } else {
    recorder_.trace(static_cast<std::uint64_t>(reply.answer.error().code));
    recorder_.say("node {} answers for group {}: {}, {}", process.node(), pending.group,
                  to_string(reply.answer.error().code), reply.answer.error().message);
  }
  network_.client([to = pending.reply, answer = std::move(reply.answer)] { to(answer); });
}

void World::called(Process& process, const ServiceCall& call) {
  if (!services_) return;
  const Life life = process.life();
  const auto heard = [&process, life](ServiceAnswered answered) {
    if (process.life() == life) process.deliver(std::move(answered));
  };
  services_->call(ServiceCaller{life.node, life.number, heard}, call);
}

// ---- now and then ----

void World::look_around() {
  check_all(++looks_ % looks_between_digests == 0);
  schedule_.after(look_gap, [this] { look_around(); });
}

void World::check_all(bool digests) {
  std::map<GroupId, unsigned> leaders;
  for (const auto& [node, process] : processes_) {
    if (!process->up()) continue;
    if (process->loop().statistics().snapshots_damaged > 0) recorder_.rare("damage found while running");
    for (const GroupStatus& status : process->loop().status()) {
      check_replica(*process, status, digests);
      if (status.log.leadership.self_leads && ++leaders[status.config.id] == 2) {
        recorder_.rare("two nodes believed to lead one group");
      }
    }
  }
}

// L9: whoever sleeps because of a leader misses it when its node is gone.
void World::check_sleep(const Process& process, const GroupStatus& status) {
  const NodeId leader = status.log.leadership.leader;
  if (process.paused() || leader.none() || leader == process.node() || processes_.at(leader)->up()) return;
  const Micros patience = swarm_.election_ticks * tick_length + sleep_slack;
  if (schedule_.now() - process.silence_since(leader) <= patience) return;
  recorder_.wrong(fmt::format(
      "L9 sleep: node {} sleeps in group {}, whose leader's node {} is down and was not heard for {} ms",
      process.node(), status.config.id, leader, (schedule_.now() - process.silence_since(leader)) / millisecond));
}

void World::check_replica(Process& process, const GroupStatus& status, bool digest) {
  const GroupId group = status.config.id;
  logs_.status(process.life(), group, status.applied, status.log.committed);
  if (status.log.asleep) check_sleep(process, status);
  if (status.config.role == GroupRole::shard && status.application.prepared == 0 && status.application.locks > 0) {
    recorder_.wrong(fmt::format("locks: node {} holds {} locks of group {} although nothing is prepared there",
                                process.node(), status.application.locks, group));
  }
  if (!digest) return;
  const auto state = process.loop().application_digest(group);
  if (!state) {
    // A read that was to fail met ours.
    if (swarm_.shard_files && !healed_ && state.error().code == ErrorCode::io) return;
    return recorder_.wrong(fmt::format("the state of group {} cannot be read: {}", group, state.error().message));
  }
  recorder_.trace(*state);
  logs_.state_digest(process.life(), group, status.applied, *state);
}

}  // namespace assent::sim
