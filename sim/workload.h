// What clients do, and what is judged of what they learn: the seam between the simulator and its workloads. To add one:
// write a class of this shape in sim/workloads/, and give it its line in workload_names() and make_workload()
// (sim/workload.cc). Nothing else has to know of it: `--workload NAME` runs it under every fault.
//
// A workload says what is to be done (a Deed) and is told how it ended. It sends nothing itself and knows no nodes: the
// Customer (sim/customer.h) gives ids, repeats, retries conflicts with the age of the first attempt, asks for outcomes,
// cancels, crashes, and mixes in work that no workload need bring: broken work, ids of a strange time, ids used again
// with other content, outcomes asked for once more. TxnChecker and LogChecker judge every transaction from the logs,
// whatever it does; a workload judges its data.
//
//     opening(shard)...    each Work committed, one after the other, before any fault; must succeed
//     next(client)...      under faults, as often as the clients have time
//     last(0), last(1)...  when all is healed and at rest, each alone and bound to succeed, until it says nullopt
//     audit()              the last word
//
// A failure is reported by scene.recorder.wrong("<rule>: <sentence that names the thing>"); the first one ends the run.
// Rules it must keep: everything drawn comes from the Rng it is given; no clock, no hash order, no global. One thread.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/rng.h"
#include "check/history.h"
#include "sim/client.h"
#include "sim/recorder.h"
#include "sim/schedule.h"
#include "sim/swarm.h"
#include "sim/txn_checker.h"
#include "txn_proto/types.h"

namespace assent::sim {

// The branches of a transaction from the work of each shard, ascending by shard as begin() wants them.
[[nodiscard]] std::vector<Branch> branches_of(std::map<GroupId, Work> work);

// What a workload may look at. Outlives it.
struct Scene {
  const Schedule& schedule;
  Recorder& recorder;
  const Swarm& swarm;           // backend: whether shards want SQL or keys; clients: how many there are
  const TxnChecker& txns;       // what the logs say, for audit()
  std::vector<GroupId> shards;  // ascending
  Rng rng;                      // the workload's own, for what it draws once
};

// One intent. A conflict is tried again, each attempt under an id of its own; only one attempt is under way at a time.
struct Transaction {
  std::string what;  // for the narration: "transfer of 50 from account 3 to account 7"
  // The work of the attempt under this id: at least one branch, ascending by shard, no shard twice, none empty.
  std::function<std::vector<Branch>(const TxnId&)> begin;
  // Once for each attempt, unless its client crashes: then nobody hears how it ended. Committed with by_asking has no
  // results, because the answer that had them was lost.
  std::function<void(const TxnId&, const Ended&)> ended;
  // What stands in the history of the attempt that begin() was called for last: at the invocation (nullptr) with
  // nothing read yet, and at the end. May be empty: then the transaction is left out of the history.
  std::function<std::vector<check::Micro>(const Ended*)> history;
  Mode mode = Mode::atomic;  // any other only with services
  bool only_reads = false;   // it may as well be read without locks: then it ends committed, or as by a conflict
  bool must_commit = false;  // nothing can conflict with it but what its own client did: anything else is wrong (A4)
};

// A linearizable read of one shard, outside of transactions.
struct Question {
  std::string what;
  GroupId shard;
  Work work;
  std::function<void(const std::optional<QueryAnswer>&)> answered;  // nullopt: given up
  // As that of a transaction, with nullptr also when it was given up.
  std::function<std::vector<check::Micro>(const QueryAnswer*)> history = nullptr;
};

using Deed = std::variant<Transaction, Question>;

class Workload {
 public:
  virtual ~Workload() = default;

  [[nodiscard]] virtual std::vector<Work> opening(GroupId shard) = 0;
  // What this client (0 .. swarm.clients - 1) does next; drawn from rng.
  [[nodiscard]] virtual Deed next(unsigned client, Rng& rng) = 0;
  [[nodiscard]] virtual std::optional<Deed> last(std::size_t step) = 0;
  virtual void audit() = 0;
  // Whether the history of its run is to be strictly serializable by the rules of check/judge.h.
  [[nodiscard]] virtual bool judged_by_history() const { return false; }
};

// The names that --workload takes.
[[nodiscard]] std::vector<std::string_view> workload_names();
// By one of these names.
[[nodiscard]] std::unique_ptr<Workload> make_workload(std::string_view name, const Scene& scene);

}  // namespace assent::sim
