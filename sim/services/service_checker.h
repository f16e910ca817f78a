// Judges services from what became durable in their databases, beside the logs (TxnChecker): S1 each effect at most
// once, S2 nothing is shown or taken back against the decision, S3 a saga's steps in their order and its compensations
// in the reverse one, S4 at the end every transaction is done everywhere or nowhere. Registers go to the TxnChecker,
// which judges them as it does those of shards.
//
// It counts what the services' own tables say and shares no code with the barrier, the agent or the coordinator.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "sim/recorder.h"
#include "sim/services/database.h"
#include "sim/swarm.h"
#include "sim/txn_checker.h"
#include "txn_proto/types.h"

namespace assent::sim {

class ServiceChecker {
 public:
  ServiceChecker(Recorder& recorder, TxnChecker& txns, std::map<std::string, ServiceKind> sites)
      : recorder_(recorder), txns_(txns), sites_(std::move(sites)) {}

  // A client sends this for the first time, or again.
  void invoked(const Execute& execute);
  void committed(const std::string& site, const Change& change);
  void prepared(const std::string& site, const std::string& name, const Change& change);
  void rolled_back(const std::string& site, const std::string& name);
  // At quiescence.
  void judge_settled();

 private:
  struct Part {  // of a transaction, at one service
    std::string name;
    std::string site;
    GroupId number;
    bool retriable = false;
    unsigned did = 0;
    unsigned confirmed = 0;
    unsigned undone = 0;
    [[nodiscard]] bool stands() const { return did > undone; }
  };
  struct Txn {
    Mode mode = Mode::atomic;
    std::vector<Part> parts;  // in the order of their numbers
  };

  [[nodiscard]] Part* part_of(const service::BranchKey& key);
  void moved(const service::BranchKey& key, const service::Register& row);
  void count(const Effect& effect);
  void did(const TxnId& id, Txn& txn, Part& part);
  void confirmed(const TxnId& id, Part& part);
  void undone(const TxnId& id, Txn& txn, Part& part);
  void wrong(const TxnId& txn, std::string_view rule, const std::string& what);
  [[nodiscard]] bool is_committed(const TxnId& txn) const;
  [[nodiscard]] bool prepares(const Part& part) const { return sites_.at(part.site) != ServiceKind::ledger; }

  Recorder& recorder_;
  TxnChecker& txns_;
  std::map<std::string, ServiceKind> sites_;
  std::map<TxnId, Txn> all_;
};

}  // namespace assent::sim
