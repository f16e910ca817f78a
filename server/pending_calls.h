// Client calls that wait for the loop's answer. A call is answered once: by the loop's reply, by its deadline, or
// because the node stops, whichever comes first; what comes later finds nothing.
//
// add() and close() from any thread, begin(), answer() and expire() from the loop's, abandon() when that has ended.
// Every member but sender_ is guarded by mutex_.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string>
#include <unordered_map>
#include <variant>
#include <vector>

#include "assent/v1/assent.pb.h"
#include "base/result.h"
#include "server/answer_sender.h"
#include "server/cluster_view.h"
#include "server/rpc_server.h"
#include "txn_proto/types.h"

namespace assent {

class PendingCalls {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;

  struct Call {
    UnaryCall* call = nullptr;
    std::variant<v1::Transaction*, v1::QueryResponse*> response;
    GroupId group;
    TxnId txn;                // none for a query
    bool may_commit = false;  // an Execute: giving up on it leaves its outcome unknown
    TimePoint answer_by;      // a little before the caller stops listening
  };

  PendingCalls(const ClusterView& cluster, std::size_t calls_max) : cluster_(cluster), calls_max_(calls_max) {}

  // The id to send to the loop; busy when there are too many, not_leader when the node stops.
  [[nodiscard]] Result<RequestId> add(const Call& call);
  // Before the loop begins with it. False when it was answered already or its time is up: then it is answered as not
  // begun.
  [[nodiscard]] bool begin(RequestId id, TimePoint now);
  void answer(std::vector<ClientReply> replies);
  // Answers the calls whose time is up.
  void expire(TimePoint now);
  // Refuses new calls from now on; those that wait go on.
  void close();
  // Answers every call that still waits: their outcome is unknown. All answers are with gRPC when this returns.
  void abandon();
  [[nodiscard]] std::size_t size() const;

 private:
  // Fills the call's response, and says how the call ends.
  [[nodiscard]] grpc::Status fill(const Call& call, Result<ClientAnswer> answer) const;
  [[nodiscard]] grpc::Status error_status(const Call& call, Error error) const;
  [[nodiscard]] static grpc::Status not_begun(const Call& call);
  [[nodiscard]] grpc::Status gave_up(const Call& call, bool deadline, const std::string& why) const;

  const ClusterView& cluster_;
  const std::size_t calls_max_;
  mutable std::mutex mutex_;
  std::uint64_t next_id_ = 1;
  std::unordered_map<std::uint64_t, Call> calls_;
  bool closed_ = false;
  AnswerSender sender_;
};

}  // namespace assent
