// One run of one seed: a whole cluster of production loops, its network, disks and clocks, the workload's customers,
// the nemesis and the checkers, in virtual time, from one seed split by label.
//
//     opening   no faults: the workload's schema and first rows
//     chaos     customers work, the nemesis breaks things
//     healing   everything is repaired; customers finish what they are at; then nothing may be left in doubt (A5, A7,
//     L1) last      the workload's last deeds, each bound to succeed, and its audit
//
// Deterministic: nothing here depends on anything but the seed and the choices. One thread.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "sim/choices.h"
#include "sim/client.h"
#include "sim/commit_trace.h"
#include "sim/customer.h"
#include "sim/durability_checker.h"
#include "sim/history.h"
#include "sim/log_checker.h"
#include "sim/nemesis.h"
#include "sim/network.h"
#include "sim/process.h"
#include "sim/raft_checker.h"
#include "sim/raft_trace.h"
#include "sim/recorder.h"
#include "sim/schedule.h"
#include "sim/services/services.h"
#include "sim/spotter.h"
#include "sim/stale_reader.h"
#include "sim/swarm.h"
#include "sim/txn_checker.h"
#include "sim/workload.h"
#include "sql_adapter/schema_cache.h"
#include "sql_adapter/sqlite_store.h"

namespace assent {
class Decisions;
}  // namespace assent

namespace assent::sim {

struct RunOptions {
  std::uint64_t seed = 0;
  Choices choices;
  std::optional<TimeSpan> narrate;  // none: nothing is narrated
  std::string history_path;         // empty: none
  std::string raft_trace_path;      // the same
  std::string commit_trace_path;    // the same
};

struct RunResult {
  std::uint64_t seed = 0;
  Verdict verdict = Verdict::ok;
  std::string why;
  std::uint64_t digest = 0;
  std::uint64_t events = 0;
  Micros virtual_time = 0;
  std::string shape;  // what the seed drew
  Counters faults;
  Counters outcomes;
  Counters rare;
};

class World final : private Surroundings {
 public:
  explicit World(const RunOptions& options);
  ~World() override;
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  [[nodiscard]] Result<RunResult> run();

 private:
  struct Pending {  // a request at a node
    NodeId node;
    bool reused = false;
    GroupId group;
    Client::Reply reply;
  };

  // ---- building ----
  void build_processes();
  void build_services();
  void build_customers();
  [[nodiscard]] Client::Options client_options(unsigned number) const;

  // ---- phases ----
  void opening();
  void chaos();
  void healing();
  void last();
  void open_shard(std::size_t shard, std::size_t step, unsigned* open);
  void last_snapshot(const Transaction& transaction, const TxnId& txn, bool& done);
  void last_deed(const Deed& deed, std::size_t step);
  void last_transaction(const Transaction& transaction, std::size_t step);
  void last_event(check::EventType type, const TxnId& txn, std::vector<check::Micro> value);
  void judge_history();
  [[nodiscard]] Result<std::unique_ptr<SqliteStore>> open_store(Process& process, const GroupConfig& group);
  [[nodiscard]] Result<std::unique_ptr<Application>> make_coordinator(Process& process, const GroupConfig& group);
  void judge_intents();
  void judge_disks();
  [[nodiscard]] TxnId new_id(std::uint64_t random_high, std::uint64_t random_low) const;
  [[nodiscard]] Execute make_execute(const TxnId& txn, std::vector<Branch> branches, Mode mode = Mode::atomic);
  // Runs until done, the verdict, or the deadline; false at the deadline.
  bool run_until(Micros deadline, const std::function<bool()>& done);
  // Runs until nothing is under way; reports stuck at the deadline.
  void settle(Micros time_max, std::string_view when);
  [[nodiscard]] std::string unrest() const;  // what is not quiet yet; empty when everything is
  [[nodiscard]] std::string unrest_of(const GroupConfig& group) const;
  [[nodiscard]] Membership members_of(const GroupConfig& group) const;

  // ---- checks ----
  void look_around();
  void check_all(bool digests);
  void check_replica(Process& process, const GroupStatus& status, bool digest);
  void check_sleep(const Process& process, const GroupStatus& status);
  void before_crash(const std::vector<Process*>& victims);
  [[nodiscard]] Register register_of(Process& process, GroupId shard, const TxnId& txn) const;
  [[nodiscard]] const Decisions* decisions_of(Process& process) const;
  [[nodiscard]] std::optional<Acceptor> acceptor_of(Process& process, const BallotWork& work) const;
  void judge_command(Process& process, GroupId group, const Entry& entry, bool fresh);
  void look_at_message(Process& process, const GroupConfig& group, GroupId from, ByteView message);
  [[nodiscard]] Result<void> open_files();
  void note_resignation(Process& process, GroupId group, bool ready);
  // As the checker last saw it.
  [[nodiscard]] Register register_before(GroupId shard, const TxnId& txn) const;
  void note_finish(GroupId shard, const FinishWork& finish);

  // ---- Surroundings ----
  Process& process(NodeId node) override { return *processes_.at(node); }
  Result<std::unique_ptr<Application>> make_application(Process& process, const GroupConfig& group) override;
  void applied(Process& process, GroupId group, const Entry& entry) override;
  void left(Process& process, GroupId group) override;
  void remade(Process& process, GroupId group) override;
  void hurt(Process& process) override;
  void leadership(Process& process, GroupId group, const Leadership& leadership) override;
  void replied(Process& process, ClientReply reply) override;
  void called(Process& process, const ServiceCall& call) override;
  void went_down(Process& process) override;

  void carry(const Client::Call& call, Client::Reply reply);
  void answer(const Pending& pending, const Result<ClientAnswer>& answer);

  RunOptions options_;
  Rng rng_;
  Swarm swarm_;
  Schedule schedule_;
  Recorder recorder_;
  Network network_;
  std::vector<GroupConfig> groups_;  // the coordinator first
  LogChecker logs_;
  DurabilityChecker durability_;
  RaftChecker raft_;
  RaftTrace raft_trace_;
  CommitTrace commit_trace_;
  Spotter spotter_;
  std::vector<LogWatcher*> log_watchers_;
  TxnChecker txns_;
  History history_;
  std::unique_ptr<Workload> workload_;
  Office office_;
  std::shared_ptr<sql::SchemaCache> schemas_ = std::make_shared<sql::SchemaCache>();
  std::map<NodeId, std::unique_ptr<Process>> processes_;
  std::unique_ptr<Nemesis> nemesis_;
  std::vector<std::unique_ptr<Customer>> customers_;
  std::unique_ptr<Client> clerk_;              // for opening and last
  std::unique_ptr<StaleReader> stale_reader_;  // none: the seed has no stale reads
  std::unique_ptr<Services> services_;         // none: the seed has no services

  std::uint64_t last_request_ = 0;
  std::map<RequestId, Pending> pending_;
  Rng lines_;                                       // what becomes of connections when a node dies
  std::set<std::pair<NodeId, GroupId>> was_ready_;  // who led when last heard
  unsigned looks_ = 0;
  bool healed_ = false;
  Micros healed_at_ = 0;
};

}  // namespace assent::sim
