// What one simulated client does all day: what its workload says, and what no workload need bring: broken work, ids of
// a strange time, repeated ids, curious questions, sometimes a crash in the middle. Conflicts are tried again under new
// ids. It hands what it learns to the workload and writes the history.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <vector>

#include "sim/client.h"
#include "sim/history.h"
#include "sim/recorder.h"
#include "sim/swarm.h"
#include "sim/txn_checker.h"
#include "sim/workload.h"

namespace assent::sim {

class Services;

// What all customers share.
struct Office {
  Schedule& schedule;
  Recorder& recorder;
  const Swarm& swarm;
  Workload& workload;
  TxnChecker& txns;
  History& history;
  GroupId coordinator;
  std::vector<GroupId> shards;
  struct Closed {  // a transaction whose outcome a client was told
    Execute execute;
    bool committed = false;
  };
  std::vector<Closed> closed;
  std::vector<std::vector<TxnId>> intents;  // the attempts of each: at most one of them may commit
  std::uint64_t begun = 0;                  // deeds of all customers
  unsigned last_process = 0;                // of the history
  Services* services = nullptr;             // none: no transaction names one
};

class Customer {
 public:
  Customer(Office& office, Rng rng, Client::Options options, Client::Carrier carrier);

  void open();  // begins to work
  // Finishes what it is at and begins nothing new.
  void close();
  [[nodiscard]] bool idle() const { return closed_ && !client_.busy(); }
  [[nodiscard]] std::string doing() const { return doing_; }

 private:
  struct Try {  // one attempt of a transaction
    Transaction transaction;
    Execute execute;
    unsigned left = 0;  // tries after this one
    std::size_t intent = 0;
    bool strange = false;
    std::optional<std::vector<BranchResult>> seen = std::nullopt;  // what it read before it was sent
  };

  void rest();
  void work();
  void run(Deed deed);
  void attempt(const Transaction& transaction, const TxnId& txn, const TxnId& age, unsigned left, bool strange,
               std::size_t intent);
  void interact(Try tried);
  void send(const Try& tried);
  void ended(const Try& tried, const Ended& ended);
  [[nodiscard]] std::size_t new_intent();
  void judge(const Try& tried, const Ended& ended);
  void try_again(const Try& tried);
  void question(const Question& question);
  void snapshot(const Transaction& transaction);
  void broken_work();
  void strange_time();
  void reuse_id();
  void ask_again();
  void maybe_crash();
  void crash();
  void note(const Execute& execute, const Ended& ended);
  void say_doing(std::string doing);
  void write_history(const Try& tried, const Ended& ended);
  void write_history(const Question& question, const std::optional<QueryAnswer>& answer);
  [[nodiscard]] Execute make_execute(std::vector<Branch> branches, const TxnId& txn, const TxnId& age,
                                     Mode mode = Mode::atomic);
  [[nodiscard]] Work broken(unsigned variant) const;
  [[nodiscard]] TxnId new_id(std::int64_t shift_millis = 0);
  [[nodiscard]] ClusterMillis wall() const;

  Office& office_;
  Rng rng_;
  unsigned number_;
  Client client_;
  bool closed_ = true;
  std::string doing_ = "nothing";
  unsigned process_;  // in the history; a new one after each transaction that may yet happen
  std::optional<std::pair<TxnId, std::vector<check::Micro>>> in_history_;  // begun in the history and not ended there
  std::set<TxnId> mine_;    // what it committed or may have, where nothing else can conflict
  std::uint64_t life_ = 0;  // counts crashes: what was planned before one does not happen
};

}  // namespace assent::sim
