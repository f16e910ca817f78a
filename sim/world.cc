#include "sim/world.h"

#include <algorithm>
#include <utility>

#include "consensus/raft/raft_factory.h"
#include "sim/sim_clock.h"

namespace assent::sim {
namespace {

constexpr Micros opening_time_max = 20 * second;
constexpr Micros healing_time_max = 60 * second;
constexpr Micros fresh_time_max = 10 * second;
constexpr std::uint64_t patient_ticks = 500;  // of transactions that must commit
constexpr Micros quiet_poll = 50 * millisecond;
constexpr std::size_t journal_part = 40;  // transactions asked for in one query

LogFactory make_logs(const Swarm& swarm) {
  RaftOptions options;
  options.election_ticks = static_cast<std::uint32_t>(swarm.election_ticks);
  options.heartbeat_ticks = static_cast<std::uint32_t>(swarm.heartbeat_ticks);
  options.append_bytes_max = swarm.append_bytes_max;
  options.inflight_max = swarm.inflight_max;
  options.tail_entries_max = swarm.tail_entries_max;
  options.committed_bytes_max = swarm.committed_bytes_max;
  return make_raft_factory(options);
}

std::vector<GroupConfig> make_groups(const Swarm& swarm) {
  std::vector<GroupConfig> groups;
  for (unsigned i = 0; i <= swarm.shards; ++i) {
    GroupConfig group;
    group.id = GroupId(i + 1);
    group.name = i == 0 ? "c0" : fmt::format("s{}", i);
    group.role = i == 0 ? GroupRole::coordinator : GroupRole::shard;
    for (unsigned replica = 0; replica < 3; ++replica) group.members.emplace_back((i + replica) % swarm.nodes + 1);
    std::sort(group.members.begin(), group.members.end());
    groups.push_back(std::move(group));
  }
  return groups;
}

std::vector<GroupId> shard_ids(const std::vector<GroupConfig>& groups) {
  std::vector<GroupId> shards;
  for (const GroupConfig& group : groups) {
    if (group.role == GroupRole::shard) shards.push_back(group.id);
  }
  return shards;
}

}  // namespace

World::World(const RunOptions& options)
    : options_(options),
      rng_(options.seed),
      swarm_(draw_swarm(rng_.split("swarm"))),
      recorder_(schedule_, options.narrate),
      network_(schedule_, recorder_, rng_.split("network")),
      groups_(make_groups(swarm_)),
      bank_(swarm_.backend, shard_ids(groups_), swarm_.accounts),
      logs_(recorder_),
      txns_(recorder_, groups_.front().id, TimeWindow{swarm_.retention_millis, swarm_.clock_skew_max_millis}),
      books_(recorder_, bank_),
      office_{schedule_, recorder_, swarm_, bank_, txns_, books_, history_, groups_.front().id, {}, 0},
      lines_(rng_.split("lines")) {
  build_processes();
  build_tellers();
}

World::~World() = default;

// ---- building ----

void World::build_processes() {
  const LogFactory logs = make_logs(swarm_);
  Surroundings& around = *this;
  Rng clocks = rng_.split("clocks");
  for (unsigned i = 1; i <= swarm_.nodes; ++i) {
    const NodeId node(i);
    Process::Setup setup{node, groups_, logs, rng_.split(fmt::format("node {}", i)).next(), 0, 0};
    setup.drift = (clocks.unit() * 2 - 1) * swarm_.clock.drift_max;
    setup.offset_millis = static_cast<std::int64_t>(clocks.below(swarm_.clock.offset_max_millis + 1));
    processes_[node] = std::make_unique<Process>(std::move(setup), swarm_, schedule_, recorder_, network_, around);
  }
  nemesis_ = std::make_unique<Nemesis>(swarm_, rng_.split("nemesis"), schedule_, recorder_, network_, processes_,
                                       [this](const std::vector<Process*>& victims) { before_crash(victims); });
}

Client::Options World::client_options(unsigned number) const {
  Client::Options options;
  options.number = number;
  options.reply_timeout = swarm_.reply_timeout;
  options.seal_share = swarm_.seal_share;
  for (const GroupConfig& group : groups_) options.members[group.id] = group.members;
  options.coordinator = groups_.front().id;
  return options;
}

void World::build_tellers() {
  const auto carrier = [this](const Client::Call& call, Client::Reply reply) { carry(call, std::move(reply)); };
  for (unsigned number = 0; number < swarm_.clients; ++number) {
    tellers_.push_back(std::make_unique<Teller>(office_, rng_.split(fmt::format("teller {}", number)),
                                                client_options(number), carrier));
  }
  Client::Options options = client_options(swarm_.clients);
  options.reply_timeout = 2 * second;
  clerk_ = std::make_unique<Client>(schedule_, recorder_, rng_.split("clerk"), std::move(options), carrier);
}

// ---- phases ----

Result<RunResult> World::run() {
  if (!options_.history_path.empty()) {
    if (auto opened = history_.open(options_.history_path); !opened) return fail(opened.error());
  }
  recorder_.say("seed {}: {}", options_.seed, swarm_.describe());
  opening();
  if (!recorder_.failed()) chaos();
  if (!recorder_.failed()) healing();
  if (!recorder_.failed()) last();
  RunResult result;
  result.seed = options_.seed;
  result.verdict = recorder_.verdict();
  result.why = recorder_.why();
  result.digest = recorder_.digest();
  result.events = schedule_.executed();
  result.virtual_time = schedule_.now();
  result.shape = swarm_.describe();
  result.faults = recorder_.faults();
  result.outcomes = recorder_.outcomes();
  result.rare = recorder_.rare_reached();
  return result;
}

bool World::run_until(Micros deadline, const std::function<bool()>& done) {
  while (!recorder_.failed() && !done()) {
    if (schedule_.now() >= deadline) return false;
    schedule_.run_next();
  }
  return true;
}

void World::opening() {
  for (const auto& [node, process] : processes_) process->start();
  look_around();
  unsigned open = 0;
  open_shard(0, 0, &open);
  if (!run_until(opening_time_max, [&] { return open == bank_.shards().size(); })) {
    recorder_.stuck("L1 liveness: without any fault the bank could not be opened");
  }
}

// One step after the other, one shard after the other.
void World::open_shard(std::size_t shard, std::size_t step, unsigned* open) {
  if (shard == bank_.shards().size()) return;
  const GroupId group = bank_.shards()[shard];
  std::vector<Work> steps = bank_.opening(group);
  if (step == steps.size()) {
    ++*open;
    return open_shard(shard + 1, 0, open);
  }
  Execute execute;
  execute.txn = TxnId::make(ClusterMillis(epoch_millis + schedule_.now() / 1000), shard, step);
  execute.branches.push_back(Branch{group, std::move(steps[step])});
  execute.timeout_ticks = patient_ticks;
  txns_.invoked(execute);
  clerk_->execute(execute, false, [this, shard, step, open](const Ended& ended) {
    if (ended.how != Ended::How::committed) {
      recorder_.wrong(fmt::format("A4 non-triviality: opening the bank failed: {}{}", ended.answer.refusal.message,
                                  ended.error.message));
    }
    open_shard(shard, step + 1, open);
  });
}

void World::chaos() {
  recorder_.say("the bank is open; faults and clients begin");
  network_.begin(swarm_.network);
  nemesis_->begin();
  for (const auto& teller : tellers_) teller->open();
  const Micros end = schedule_.now() + swarm_.chaos;
  run_until(end, [] { return false; });
}

void World::healing() {
  recorder_.say("everything is repaired; clients finish what they are at");
  healed_ = true;
  nemesis_->heal();
  for (const auto& teller : tellers_) teller->close();
  settle(healing_time_max, "long after everything was repaired");
}

void World::settle(Micros time_max, std::string_view when) {
  std::string unrest_now;
  Micros next_look = 0;
  const bool quiet = run_until(schedule_.now() + time_max, [&] {
    if (schedule_.now() < next_look) return false;
    next_look = schedule_.now() + quiet_poll;
    unrest_now = unrest();
    return unrest_now.empty();
  });
  if (!quiet) recorder_.stuck(fmt::format("A5 termination: {} {}", when, unrest_now));
}

std::string World::unrest() const {
  for (std::size_t i = 0; i < tellers_.size(); ++i) {
    if (!tellers_[i]->idle()) return fmt::format("client {} is still at {}", i, tellers_[i]->doing());
  }
  for (const GroupConfig& group : groups_) {
    if (std::string found = unrest_of(group); !found.empty()) return found;
  }
  if (txns_.undelivered() > 0) return fmt::format("{} committed transactions are not ended", txns_.undelivered());
  if (!pending_.empty()) return fmt::format("{} requests are not answered", pending_.size());
  return {};
}

std::string World::unrest_of(const GroupConfig& group) const {
  unsigned leaders = 0;
  for (const NodeId member : group.members) {
    const Process& process = *processes_.at(member);
    if (!process.up()) return fmt::format("node {} is down", member);
    for (const GroupStatus& status : const_cast<Process&>(process).loop().status()) {
      if (status.config.id != group.id) continue;
      if (status.log.leadership.self_ready) ++leaders;
      const std::string where = fmt::format("of group {} on node {}", group.id, member);
      if (status.applied != logs_.newest(group.id)) {
        return fmt::format("index {} {} is applied, not {}", status.applied, where, logs_.newest(group.id));
      }
      if (status.application.prepared > 0)
        return fmt::format("{} transactions {} are in doubt", status.application.prepared, where);
      if (status.application.locks > 0) return fmt::format("{} locks {} are held", status.application.locks, where);
      if (status.application.active > 0)
        return fmt::format("{} things {} are under way", status.application.active, where);
    }
  }
  return leaders == 1 ? std::string() : fmt::format("group {} has {} leaders", group.id, leaders);
}

// ---- the last phase ----

void World::last() {
  recorder_.say("all is quiet; fresh transactions, then the audit");
  last_read();
  if (!recorder_.failed()) settle(fresh_time_max, "after a fresh read");
  if (!recorder_.failed()) fresh_transfer();
  if (!recorder_.failed()) settle(fresh_time_max, "after a fresh transfer");
  last_books_.clear();
  bool done = false;
  if (!recorder_.failed()) audit_shard(0, 0, &done);
  if (!run_until(schedule_.now() + fresh_time_max, [&] { return done; })) {
    return recorder_.stuck("L1 liveness: with everything repaired the books cannot be read");
  }
  if (recorder_.failed()) return;
  check_all(true);
  txns_.judge_settled();
  books_.audit(last_books_, last_journal_, txns_.fates());
}

void World::last_read() {
  bool done = false;
  Execute read;
  read.txn = TxnId::make(ClusterMillis(epoch_millis + schedule_.now() / 1000), 1, rng_.split("last read").next());
  read.branches = bank_.read_all();
  read.timeout_ticks = patient_ticks;
  txns_.invoked(read);
  const BankChecker::Floor floor = books_.floor();
  clerk_->execute(read, false, [&](const Ended& ended) {
    done = true;
    const auto books = bank_.read_books(ended.answer.results);
    if (ended.how != Ended::How::committed || !books) {
      return recorder_.wrong(
          fmt::format("A4 non-triviality: with everything at rest a read-only transaction ended {}: {}{}",
                      to_string(ended.answer.state), ended.answer.refusal.message, ended.error.message));
    }
    books_.read_all(*books, floor);
    last_books_ = *books;
  });
  if (!run_until(schedule_.now() + fresh_time_max, [&] { return done; })) {
    recorder_.stuck("L1 liveness: with everything repaired a fresh read does not end");
  }
}

// From the fullest account to any other, on another shard when there is one.
void World::fresh_transfer() {
  bool done = false;
  Transfer transfer;
  transfer.txn = TxnId::make(ClusterMillis(epoch_millis + schedule_.now() / 1000), 2, rng_.split("fresh").next());
  const auto fullest = std::max_element(last_books_.begin(), last_books_.end(), [](const auto& a, const auto& b) {
    return a.second.balance < b.second.balance;
  });
  transfer.from = fullest->first;
  transfer.to = (transfer.from + 1) % bank_.accounts();
  transfer.amount = 1;
  Execute execute;
  execute.txn = transfer.txn;
  execute.branches = bank_.transfer(transfer);
  execute.timeout_ticks = patient_ticks;
  txns_.invoked(execute);
  books_.invoked(transfer);
  clerk_->execute(execute, false, [&](const Ended& ended) {
    done = true;
    if (ended.how != Ended::How::committed) {
      recorder_.wrong(fmt::format("A4 non-triviality: with everything at rest transfer {} ended {}: {}{}", transfer.txn,
                                  to_string(ended.answer.state), ended.answer.refusal.message, ended.error.message));
    }
    books_.acknowledged(transfer);
  });
  if (!run_until(schedule_.now() + fresh_time_max, [&] { return done; })) {
    recorder_.stuck("L1 liveness: with everything repaired a fresh transfer does not end");
  }
}

void World::audit_shard(std::size_t shard, std::size_t part, bool* done) {
  if (shard == bank_.shards().size()) {
    *done = true;
    return;
  }
  const GroupId group = bank_.shards()[shard];
  if (part == 0) {
    return clerk_->query(group, bank_.query_accounts(group), [this, shard, group, done](const auto& answer) {
      const auto books = answer ? bank_.read_books(group, answer->result) : std::nullopt;
      if (!books) return recorder_.stuck(fmt::format("the accounts of group {} cannot be read", group));
      last_books_.insert(books->begin(), books->end());
      audit_shard(shard, 1, done);
    });
  }
  std::vector<TxnId> asked;
  std::size_t skip = (part - 1) * journal_part;
  for (const auto& [txn, transfer] : books_.transfers()) {
    if (skip > 0) {
      --skip;
    } else if (asked.size() < journal_part) {
      asked.push_back(txn);
    }
  }
  if (asked.empty() || (swarm_.backend == Backend::sql && part > 1)) return audit_shard(shard + 1, 0, done);
  clerk_->query(group, bank_.query_journal(group, asked), [this, shard, part, group, asked, done](const auto& answer) {
    const auto journal = answer ? bank_.read_journal(group, asked, answer->result) : std::nullopt;
    if (!journal) return recorder_.stuck(fmt::format("the journal of group {} cannot be read", group));
    for (const auto& [txn, legs] : *journal) last_journal_[txn].insert(legs.begin(), legs.end());
    audit_shard(shard, part + 1, done);
  });
}

}  // namespace assent::sim
