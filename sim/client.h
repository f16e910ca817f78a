// A client as a library makes it: sends one request at a time to some node, follows leader hints, repeats a transaction
// under its own id after a lost answer, and asks for the outcome when it does not know. It decides nothing about what
// is asked; the teller does.
//
//     executing --answer--> ended
//        |  '--not leader, busy, timeout--> executing (same id, maybe another node)
//        '--unknown outcome, timeout--> asking --outcome--> ended
//                                         '--unknown, running, timeout--> asking, in the end with a seal
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <vector>

#include "base/ids.h"
#include "base/rng.h"
#include "sim/recorder.h"
#include "sim/schedule.h"
#include "txn_proto/types.h"

namespace assent::sim {

// How a transaction ended for the client that sent it.
struct Ended {
  enum class How : std::uint8_t {
    committed,
    aborted,
    refused,  // an error that says that nothing happened
    expired,  // older than what the cluster remembers: never to be known
  };
  How how = How::refused;
  TxnAnswer answer;        // with committed and aborted
  Error error;             // with refused
  bool by_asking = false;  // the answer to the Execute itself was lost
};

class Client {
 public:
  using Reply = std::function<void(Result<ClientAnswer>)>;
  struct Call {
    unsigned client = 0;
    NodeId node;
    GroupId group;
    ClientBody body;
    bool reused = false;  // other content under an id that was used before
  };
  // Carries a call to a node and what it says back; or loses either.
  using Carrier = std::function<void(const Call&, Reply)>;

  struct Options {
    unsigned number = 0;
    Micros reply_timeout = 500 * millisecond;
    double seal_share = 0.3;
    double cancel_share = 0;         // of the calls that execute
    unsigned curious_tries_max = 4;  // of questions that nobody needs the answer of
    std::map<GroupId, std::vector<NodeId>> members;
    GroupId coordinator;
  };

  Client(Schedule& schedule, Recorder& recorder, Rng rng, Options options, Carrier carrier);

  // One at a time; the callback comes once unless the client crashes first.
  void execute(const Execute& execute, bool reused, std::function<void(const Ended&)> done);
  void query(GroupId shard, Query query, std::function<void(std::optional<QueryAnswer>)> done);
  void ask(GroupId group, const TxnId& txn, bool seal, std::function<void(std::optional<TxnAnswer>)> done);
  // Forgets what it was doing.
  void crash();
  [[nodiscard]] bool busy() const { return busy_; }
  // From now on waits for answers as long as an answer takes in a healthy cluster.
  void be_patient() {
    options_.cancel_share = 0;
    options_.reply_timeout = std::max(options_.reply_timeout, 2 * second);
  }

  // Where the outcome of this transaction is kept.
  [[nodiscard]] static GroupId home(const Execute& execute, GroupId coordinator);

 private:
  enum class Phase : std::uint8_t { executing, asking, querying, curious };

  void begin(Phase phase, GroupId group);
  void send();
  void send_later(Micros delay);
  void aim_elsewhere();
  void answered(std::uint64_t serial, const Result<ClientAnswer>& answer);
  void timed_out(std::uint64_t serial);
  void cancel(std::uint64_t serial);
  void failed(const Error& error);
  void executed(const TxnAnswer& answer);
  void start_asking();
  void heard_outcome(const TxnAnswer& answer);
  void end(const Ended& ended);
  void end_curious(std::optional<TxnAnswer> answer);
  void end_query(std::optional<QueryAnswer> answer);
  [[nodiscard]] Micros backoff();

  Schedule& schedule_;
  Recorder& recorder_;
  Rng rng_;
  Options options_;
  Carrier carrier_;

  bool busy_ = false;
  Phase phase_ = Phase::executing;
  std::uint64_t serial_ = 0;  // of the request that is waited for; late answers to others are ignored
  unsigned tries_ = 0;
  unsigned asks_ = 0;
  bool may_have_happened_ = false;  // an Execute was sent and not answered with a definite refusal
  bool reused_ = false;
  bool cancelled_ = false;
  GroupId group_;
  NodeId target_;
  Execute execute_;
  Query query_;
  GetOutcome ask_;
  std::function<void(const Ended&)> on_ended_;
  std::function<void(std::optional<QueryAnswer>)> on_query_;
  std::function<void(std::optional<TxnAnswer>)> on_ask_;
  std::map<GroupId, NodeId> leaders_;  // as last heard
};

}  // namespace assent::sim
