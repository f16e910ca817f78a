// What one simulated client does all day: transfers, reads of everything, reads of one shard, bad work, repeated ids,
// curious questions, sometimes a crash in the middle. It hands what it learns to the checkers.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <vector>

#include "sim/bank.h"
#include "sim/bank_checker.h"
#include "sim/client.h"
#include "sim/history.h"
#include "sim/recorder.h"
#include "sim/swarm.h"
#include "sim/txn_checker.h"

namespace assent::sim {

// What all tellers share.
struct Office {
  Schedule& schedule;
  Recorder& recorder;
  const Swarm& swarm;
  const Bank& bank;
  TxnChecker& txns;
  BankChecker& books;
  History& history;
  GroupId coordinator;
  struct Closed {  // a transaction whose outcome a client was told
    Execute execute;
    bool committed = false;
    ClusterMillis when;
  };
  std::vector<Closed> closed;
  unsigned schema_changes = 0;
};

class Teller {
 public:
  Teller(Office& office, Rng rng, Client::Options options, Client::Carrier carrier);

  void open();  // begins to work
  // Finishes what it is at and begins nothing new.
  void close();
  [[nodiscard]] bool idle() const { return closed_ && !client_.busy(); }
  [[nodiscard]] std::string doing() const { return doing_; }

 private:
  void rest();
  void work();
  void transfer(bool overdraft);
  void run_transfer(const Transfer& transfer, const TxnId& age, unsigned tries_left);
  void transferred(const Transfer& transfer, const Execute& execute, const TxnId& age, unsigned tries_left,
                   const Ended& ended);
  void retry_transfer(Transfer transfer, const TxnId& age, unsigned tries_left);
  void read_everything();
  void query_books();
  void query_leg();
  void broken_work();
  void strange_time();
  void change_schema();
  void reuse_id();
  void ask_again();
  void maybe_crash();
  void note(const Execute& execute, const Ended& ended);
  void refused(const Execute& execute, const Ended& ended);
  [[nodiscard]] Execute begin(std::vector<Branch> branches, const TxnId& txn, const TxnId& age);
  [[nodiscard]] TxnId new_id(std::int64_t shift_millis = 0);
  [[nodiscard]] ClusterMillis wall() const;
  [[nodiscard]] Transfer draw_transfer(bool overdraft);

  Office& office_;
  Rng rng_;
  unsigned number_;
  Client client_;
  bool closed_ = true;
  std::string doing_ = "nothing";
  std::set<TxnId> mine_;
  std::uint64_t life_ = 0;  // counts crashes: what was planned before one does not happen
};

}  // namespace assent::sim
