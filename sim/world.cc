#include "sim/world.h"

#include <algorithm>
#include <optional>
#include <tuple>
#include <utility>

#include "check/judge.h"
#include "consensus/raft/raft_factory.h"
#include "sim/sim_clock.h"
#include "sim/snapshot_read.h"
#include "storage/inspect.h"

namespace assent::sim {
namespace {

constexpr Micros opening_time_max = 20 * second;
constexpr Micros healing_time_max = 60 * second;
constexpr Micros fresh_time_max = 10 * second;
constexpr unsigned closing_rounds_max = 100;
constexpr unsigned last_attempts_max = 3;
constexpr std::uint64_t patient_ticks = 500;  // of transactions that must commit
constexpr Micros quiet_poll = 50 * millisecond;

LogFactory make_logs(const Swarm& swarm) {
  RaftOptions options;
  options.election_ticks = static_cast<std::uint32_t>(swarm.election_ticks);
  options.heartbeat_ticks = static_cast<std::uint32_t>(swarm.heartbeat_ticks);
  options.sleep_ticks = static_cast<std::uint32_t>(swarm.sleep_ticks);
  if (swarm.read_lease) {
    const double drift = swarm.clock.lease_drift_max;
    options.promise_micros = swarm.election_ticks * 10 * millisecond;
    options.lease_micros =
        static_cast<std::uint64_t>(static_cast<double>(options.promise_micros) * (1 - drift) / (1 + drift));
  }
  options.clock_drift_ppm = static_cast<std::uint64_t>(swarm.clock.lease_drift_max * 1e6 + 0.5);
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
      swarm_(draw_swarm(rng_.split("swarm"), options.choices)),
      recorder_(schedule_, options.narrate),
      network_(schedule_, recorder_, rng_.split("network")),
      groups_(make_groups(swarm_)),
      logs_(recorder_),
      durability_(recorder_),
      raft_(recorder_, durability_),
      commit_trace_(schedule_),
      spotter_(recorder_, durability_),
      log_watchers_{&durability_, &raft_, &spotter_},
      txns_(recorder_, groups_.front().id, TimeWindow{swarm_.retention_millis, swarm_.clock_skew_max_millis}),
      workload_(make_workload(swarm_.workload,
                              Scene{schedule_, recorder_, swarm_, txns_, shard_ids(groups_), rng_.split("workload")})),
      office_{schedule_,          recorder_,          swarm_, *workload_, txns_, history_,
              groups_.front().id, shard_ids(groups_), {},     {},         0,     0},
      lines_(rng_.split("lines")) {
  if (workload_->judged_by_history()) history_.keep();
  build_processes();
  build_services();
  build_customers();
  if (swarm_.stale_read_gap > 0) {
    stale_reader_ = std::make_unique<StaleReader>(swarm_.stale_read_gap, rng_.split("stale reader"), schedule_,
                                                  recorder_, processes_, office_.shards);
  }
}

World::~World() = default;

// ---- building ----

void World::build_processes() {
  const LogFactory logs = watch(make_logs(swarm_), log_watchers_);
  Surroundings& around = *this;
  Rng clocks = rng_.split("clocks");
  Rng lease_clocks = rng_.split("lease clocks");
  std::vector<NodeId> nodes;
  for (unsigned i = 1; i <= swarm_.nodes; ++i) nodes.emplace_back(i);
  for (unsigned i = 1; i <= swarm_.nodes; ++i) {
    const NodeId node(i);
    Process::Setup setup{node, nodes, groups_, logs, rng_.split(fmt::format("node {}", i)).next(), 0, 0, 0};
    setup.drift = (clocks.unit() * 2 - 1) * swarm_.clock.drift_max;
    setup.offset_millis = static_cast<std::int64_t>(clocks.below(swarm_.clock.offset_max_millis + 1));
    setup.lease_drift = (lease_clocks.unit() * 2 - 1) * swarm_.clock.lease_drift_max;
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
  options.cancel_share = swarm_.client_cancel;
  for (const GroupConfig& group : groups_) {
    std::vector<NodeId>& members = options.members[group.id];
    members = group.members;
    if (!swarm_.members_change()) continue;  // else whoever it is, they may belong to it no more
    options.curious_tries_max = 8 * swarm_.nodes;
    members.clear();
    for (const auto& [node, process] : processes_) members.push_back(node);
  }
  options.coordinator = groups_.front().id;
  return options;
}

void World::build_services() {
  if (swarm_.services.empty()) return;
  const Rng rng = rng_.split("services");
  const auto make_client = [this, rng](const std::string& label) {
    return std::make_unique<Client>(
        schedule_, recorder_, rng.split(label), client_options(swarm_.clients + 1),
        [this](const Client::Call& call, Client::Reply reply) { carry(call, std::move(reply)); });
  };
  services_ = std::make_unique<Services>(swarm_, rng, schedule_, recorder_, txns_, groups_.front(), make_client);
  office_.services = services_.get();
}

void World::build_customers() {
  const auto carrier = [this](const Client::Call& call, Client::Reply reply) { carry(call, std::move(reply)); };
  for (unsigned number = 0; number < swarm_.clients; ++number) {
    customers_.push_back(std::make_unique<Customer>(office_, rng_.split(fmt::format("customer {}", number)),
                                                    client_options(number), carrier));
  }
  Client::Options options = client_options(swarm_.clients);
  options.reply_timeout = 2 * second;
  options.cancel_share = 0;
  clerk_ = std::make_unique<Client>(schedule_, recorder_, rng_.split("clerk"), std::move(options), carrier);
}

// ---- phases ----

Result<RunResult> World::run() {
  if (auto opened = open_files(); !opened) return fail(opened.error());
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

Result<void> World::open_files() {
  if (!options_.history_path.empty()) {
    if (auto opened = history_.open(options_.history_path); !opened) return opened;
  }
  if (!options_.raft_trace_path.empty()) {
    log_watchers_.push_back(&raft_trace_);
    if (auto opened = raft_trace_.open(options_.raft_trace_path); !opened) return opened;
  }
  return commit_trace_.open(options_.commit_trace_path);
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
  if (services_) services_->start();
  look_around();
  unsigned open = 0;
  open_shard(0, 0, &open);
  if (!run_until(opening_time_max, [&] { return open == office_.shards.size(); })) {
    recorder_.stuck("L1 liveness: without any fault the workload could not be opened");
  }
}

// One step after the other, one shard after the other.
void World::open_shard(std::size_t shard, std::size_t step, unsigned* open) {
  if (shard == office_.shards.size()) return;
  const GroupId group = office_.shards[shard];
  std::vector<Work> steps = workload_->opening(group);
  if (step == steps.size()) {
    ++*open;
    return open_shard(shard + 1, 0, open);
  }
  const Execute execute = make_execute(new_id(shard, step), {Branch{group, std::move(steps[step])}});
  clerk_->execute(execute, false, [this, shard, step, open](const Ended& ended) {
    if (ended.how != Ended::How::committed) {
      recorder_.wrong(fmt::format("A4 non-triviality: opening the workload failed: {}{}", ended.answer.refusal.message,
                                  ended.error.message));
    }
    open_shard(shard, step + 1, open);
  });
}

void World::chaos() {
  recorder_.say("the opening is over; faults and clients begin");
  network_.begin(swarm_.network);
  nemesis_->begin();
  if (services_) services_->begin();
  if (stale_reader_) stale_reader_->begin();
  for (const auto& customer : customers_) customer->open();
  const Micros end = schedule_.now() + swarm_.chaos;
  run_until(end, [] { return false; });
}

void World::healing() {
  recorder_.say("everything is repaired; clients finish what they are at");
  healed_ = true;
  healed_at_ = schedule_.now();
  nemesis_->heal();
  if (services_) services_->heal();
  if (stale_reader_) stale_reader_->end();
  for (const auto& customer : customers_) customer->close();
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
  for (std::size_t i = 0; i < customers_.size(); ++i) {
    if (!customers_[i]->idle()) return fmt::format("client {} is still at {}", i, customers_[i]->doing());
  }
  for (const GroupConfig& group : groups_) {
    if (std::string found = unrest_of(group); !found.empty()) return found;
  }
  if (swarm_.scrub_gap > 0) {
    for (const auto& [node, process] : processes_) {
      if (process->up() && process->clean_since() <= healed_at_) {
        return fmt::format("node {} has not found all of its cold files whole", node);
      }
    }
  }
  if (services_) {
    if (std::string found = services_->unrest(); !found.empty()) return found;
  }
  if (txns_.undelivered() > 0) return fmt::format("{} committed transactions are not ended", txns_.undelivered());
  if (!pending_.empty()) return fmt::format("{} requests are not answered", pending_.size());
  if (stale_reader_ && stale_reader_->waiting() > 0) {
    return fmt::format("{} stale reads are not answered", stale_reader_->waiting());
  }
  return {};
}

std::string World::unrest_of(const GroupConfig& group) const {
  unsigned leaders = 0;
  const Membership members = members_of(group);
  for (const auto& [node, process] : processes_) {
    if (process->retired()) continue;
    if (!process->up()) return fmt::format("node {} is down", node);
    for (const GroupStatus& status : process->loop().status()) {
      if (status.config.id != group.id) continue;
      if (status.log.leadership.self_ready) ++leaders;
      if (!members.has(process->member())) {
        if (!swarm_.leaves || status.log.last.none()) continue;
        return fmt::format("node {} keeps a replica of group {}, which it was removed from", node, group.id);
      }
      const std::string where = fmt::format("of group {} on node {}", group.id, node);
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

// As its leader has them, or else whoever is furthest.
Membership World::members_of(const GroupConfig& group) const {
  std::optional<LogStatus> best;
  for (const auto& [node, process] : processes_) {
    if (!process->up()) continue;
    for (GroupStatus& status : process->loop().status()) {
      if (status.config.id != group.id) continue;
      const auto rank = [](const LogStatus& log) { return std::tuple(log.leadership.self_ready, log.committed); };
      if (!best || rank(status.log) > rank(*best)) best = std::move(status.log);
    }
  }
  return best ? best->members : Membership(group.members);
}

// ---- the last phase ----

void World::last() {
  recorder_.say("all is quiet; the last deeds, then the audit");
  for (std::size_t step = 0; !recorder_.failed(); ++step) {
    const std::optional<Deed> deed = workload_->last(step);
    if (!deed) break;
    last_deed(*deed, step);
  }
  if (!recorder_.failed()) settle(fresh_time_max, "after the last deeds");
  if (recorder_.failed()) return;
  check_all(true);
  txns_.judge_settled();
  if (services_) services_->judge_settled();
  judge_intents();
  judge_disks();
  workload_->audit();
  if (!recorder_.failed()) judge_history();
}

// What could not be judged is no fault of the run: the rules of the data and of the logs judge that.
void World::judge_history() {
  if (!workload_->judged_by_history()) return;
  const check::Verdict verdict = check::judge(history_.kept(), check::JudgeOptions{2'000, 20'000});
  recorder_.outcome(verdict.gaps.empty() ? "history judged" : "history judged in part");
  if (verdict.anomalies.empty()) return;
  recorder_.wrong(fmt::format("I1 strict serializability: {}: {}", verdict.anomalies.front().name,
                              verdict.anomalies.front().story));
}

void World::last_event(check::EventType type, const TxnId& txn, std::vector<check::Micro> value) {
  if (type == check::EventType::invoke) ++office_.last_process;
  history_.event(schedule_.now(), type, office_.last_process, txn, std::move(value));
}

// What a client wanted once happens once, under whichever of its ids.
void World::judge_intents() {
  for (const std::vector<TxnId>& attempts : office_.intents) {
    const auto committed = std::count_if(attempts.begin(), attempts.end(), [this](const TxnId& txn) {
      const Fate* fate = txns_.find(txn);
      return fate != nullptr && fate->committed();
    });
    if (committed <= 1) continue;
    return recorder_.wrong(
        fmt::format("A8 at most once: one intent was committed {} times, first as {}", committed, attempts.front()));
  }
}

// Where nothing but cold files was damaged, and scrubbers have been over them, nothing damaged is left.
void World::judge_disks() {
  if (swarm_.scrub_gap == 0 || swarm_.disk.rot > 0 || swarm_.disk.rot_gap > 0) return;
  for (const auto& [node, process] : processes_) {
    if (!process->up()) continue;
    const auto inspection = inspect_data_directory(process->disk());
    if (inspection && !inspection->damaged()) continue;
    return recorder_.wrong(fmt::format("D2 rot: with everything repaired a file of node {} is still damaged: {}", node,
                                       inspection ? inspection->damages.front() : inspection.error().message));
  }
}

TxnId World::new_id(std::uint64_t random_high, std::uint64_t random_low) const {
  return TxnId::make(ClusterMillis(epoch_millis + schedule_.now() / 1000), random_high, random_low);
}

Execute World::make_execute(const TxnId& txn, std::vector<Branch> branches, Mode mode) {
  Execute execute;
  execute.txn = txn;
  execute.branches = std::move(branches);
  execute.timeout_ticks = patient_ticks;
  execute.mode = mode;
  txns_.invoked(execute);
  if (services_) services_->invoked(execute);
  return execute;
}

void World::last_snapshot(const Transaction& transaction, const TxnId& txn, bool& done) {
  if (transaction.history) last_event(check::EventType::invoke, txn, transaction.history(nullptr));
  SnapshotRead::start(*clerk_, transaction.begin(txn), closing_rounds_max, [&, txn](auto results) {
    if (!results) return;  // and it never ends
    done = true;
    Ended ended;
    ended.how = Ended::How::committed;
    ended.answer.results = std::move(*results);
    if (transaction.history) last_event(check::EventType::ok, txn, transaction.history(&ended));
    transaction.ended(txn, ended);
  });
}

// A shard that is in doubt may run out of patience (swarm: resolve_ticks) before the first message to the others has
// found their leaders, and then seals: so once more. Whom it looked for it has found by then.
void World::last_transaction(const Transaction& transaction, std::size_t step) {
  for (unsigned attempt = 1; attempt <= last_attempts_max && !recorder_.failed(); ++attempt) {
    settle(fresh_time_max, "between the last deeds");
    const TxnId txn = new_id(attempt, rng_.split(fmt::format("last {}", step)).next());
    const Execute execute = make_execute(txn, transaction.begin(txn), transaction.mode);
    if (transaction.history) last_event(check::EventType::invoke, txn, transaction.history(nullptr));
    std::optional<Ended> ended;
    clerk_->execute(execute, false, [&](const Ended& now) { ended = now; });
    if (!run_until(schedule_.now() + fresh_time_max, [&] { return ended.has_value(); })) {
      return recorder_.stuck(fmt::format("L1 liveness: with everything repaired {} does not end", transaction.what));
    }
    if (!ended) return;
    const bool committed = ended->how == Ended::How::committed;
    if (transaction.history) {
      const bool known = committed && ended->answer.results.size() == execute.branches.size();
      last_event(known ? check::EventType::ok : check::EventType::info, txn, transaction.history(&*ended));
    }
    transaction.ended(txn, *ended);
    if (committed) return;
    if (ended->answer.refusal.reason == AbortReason::sealed && attempt < last_attempts_max) continue;
    recorder_.wrong(fmt::format("A4 non-triviality: with everything at rest {} as {} ended {}: {}{}", transaction.what,
                                txn, to_string(ended->answer.state), ended->answer.refusal.message,
                                ended->error.message));
  }
}

// Alone, with everything at rest: it must succeed.
void World::last_deed(const Deed& deed, std::size_t step) {
  bool done = false;
  std::string what;
  if (const auto* question = std::get_if<Question>(&deed)) {
    what = question->what;
    if (question->history) last_event(check::EventType::invoke, TxnId{}, question->history(nullptr));
    clerk_->query(question->shard, Query{question->work}, [&](const std::optional<QueryAnswer>& answer) {
      done = true;
      if (question->history) {
        last_event(answer ? check::EventType::ok : check::EventType::fail, TxnId{},
                   question->history(answer ? &*answer : nullptr));
      }
      question->answered(answer);
    });
  } else if (std::get<Transaction>(deed).only_reads && swarm_.snapshot_share > 0) {
    what = std::get<Transaction>(deed).what + " without locks";
    last_snapshot(std::get<Transaction>(deed), new_id(1, rng_.split(fmt::format("last {}", step)).next()), done);
  } else {
    return last_transaction(std::get<Transaction>(deed), step);
  }
  if (!run_until(schedule_.now() + fresh_time_max, [&] { return done; })) {
    recorder_.stuck(fmt::format("L1 liveness: with everything repaired {} does not end", what));
  }
}

}  // namespace assent::sim
