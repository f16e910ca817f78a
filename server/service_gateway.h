// Calls to services that take part in transactions (assent.v1.Participant, or HTTP call-back by
// server/http_callback.h), on behalf of the coordinator groups that this node leads. What a service answers goes back
// to the loop as Vote, Finished or Trouble.
//
// It decides nothing and repeats nothing: the coordinator calls again for as long as it wants something. Of equal calls
// one is under way at a time, so that a slow service is not flooded. Used on the thread that waits on the node's
// completion queue.
#pragma once

#include <grpcpp/channel.h>

#include <chrono>
#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <tuple>

#include "node/loop.h"
#include "server/call_figures.h"
#include "server/http_callback.h"
#include "server/inbox.h"
#include "server/rpc_queue.h"
#include "server/service_tls.h"
#include "txn_proto/names.h"
#include "txn_proto/types.h"

namespace assent {

struct ServiceGatewayOptions {
  std::size_t calls_max = 20'000;  // under way; beyond: not called, the coordinator comes again
  std::size_t calls_per_target_max = 2'000;
  std::size_t targets_max = 1'000;  // connections kept
  std::size_t result_bytes_max = 1ULL << 20U;
  std::chrono::milliseconds finish_timeout{10'000};  // of one Commit or Abort
  // Of a call of this method to this branch. May be unset.
  std::function<TraceHeaders(const TxnId&, std::string_view method, const std::string& branch)> trace = {};
  CallFigures* figures = nullptr;  // where calls are counted; outlives this
  ServiceTls tls = {};
};

class ServiceGateway {
 public:
  ServiceGateway(RpcQueue& queue, Inbox& inbox, const GroupDirectory& groups, ServiceGatewayOptions options = {});
  ~ServiceGateway();
  ServiceGateway(const ServiceGateway&) = delete;
  ServiceGateway& operator=(const ServiceGateway&) = delete;

  void call(ServiceCall call);
  // Cuts every call off; their ends come through the queue, and this must live until then. No call() may follow.
  void stop();

  [[nodiscard]] std::size_t under_way() const { return calls_.size() + callbacks_under_way_.size(); }

 private:
  class Call;
  using Key = std::tuple<TxnId, GroupId, std::size_t, Attempt>;  // of equal calls; the third is the kind of message
  struct Target {
    std::shared_ptr<grpc::Channel> channel;
    std::size_t calls = 0;
    std::uint64_t used = 0;  // orders targets by their last call
  };

  [[nodiscard]] TraceHeaders trace(const TxnId& txn, std::string_view method, const std::string& branch) const;
  [[nodiscard]] Target* target(const std::string& address);
  void call_back(Key key, ServiceCall call, const HttpTarget& at);
  // What came of it, and when it had begun.
  void heard(const ServiceCall& call, std::chrono::steady_clock::time_point began, const grpc::Status& status,
             const v1::PrepareResponse& response);
  void answer(const ServiceCall& call, TxnMessage message);
  void ended(const Key& key, const ServiceCall& call);

  RpcQueue& queue_;
  Inbox& inbox_;
  const GroupDirectory& groups_;
  const ServiceGatewayOptions options_;
  std::map<Key, Call*> calls_;
  std::set<Key> callbacks_under_way_;
  std::map<std::string, Target> targets_;
  std::uint64_t uses_ = 0;
  bool stopping_ = false;
  HttpCallbacks callbacks_;  // last: what runs there uses what stands above
};

}  // namespace assent
