// What happened to transactions, for the whole cluster: this node's recorder and its peers', put together. The gRPC
// service Observe of observe.proto, and the same answers for the http port (server/http_api.h).
//
// Everything runs on the loop's thread, which is also the one that waits on the completion queue: peers are asked with
// calls on that queue, and an answer is handed out when the last of them has ended, was given up (peer_patience), or
// could not be asked. A peer that does not answer is named in the answer; it never makes it fail.
#pragma once

#include <grpcpp/channel.h>

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "assent/v1/assent.grpc.pb.h"
#include "assent/v1/observe.grpc.pb.h"
#include "node/loop.h"
#include "observe/event_log.h"
#include "observe/recorder.h"
#include "server/cluster_view.h"
#include "server/peer_latency.h"
#include "server/rpc_server.h"
#include "server/txn_list.h"

namespace assent {

class ObserveService {
 public:
  static constexpr auto peer_patience = std::chrono::milliseconds(1'000);
  template <class Answer>
  using Done = std::function<void(Answer)>;

  // Recorder, events and latencies belong to the loop's thread and outlive this.
  ObserveService(const ClusterView& cluster, const Recorder& recorder, const EventLog& events,
                 const PeerLatencies& latencies)
      : cluster_(cluster), recorder_(recorder), events_(events), latencies_(latencies) {}
  [[nodiscard]] v1::Observe::AsyncService& service() { return service_; }
  // Before it is asked anything. The loop outlives this.
  void look_at(const Loop& loop) { loop_ = &loop; }
  // Once the server runs: begins to take calls.
  void open(RpcQueue& queue);
  // Cuts off what peers are being asked; their ends come through the queue, and this must live until then.
  void stop();

  // nullopt: no node has a record of it.
  void trace(const TxnId& txn, Done<std::optional<v1::TxnTrace>> done);
  // What all nodes recorded of each of some transactions; of those that somebody has a record of.
  void records(const std::vector<TxnId>& txns, Done<std::vector<std::vector<v1::TxnRecord>>> done);
  void txns(const v1::TxnsRequest& request, Done<v1::TxnPage> done);
  void events(const v1::EventsRequest& request, Done<v1::EventPage> done);
  void latency(const v1::LatencyRequest& request, Done<v1::LatencyPage> done);
  void cluster(Loop& loop, Done<v1::ClusterPage> done);
  // What leaders see of one transaction; none: of all that are not over.
  void sights(const TxnId& txn, Done<LeadersView> done);
  // Of these, what waits for locks, and what keeps others waiting.
  void locks(Done<v1::SightPage> done);
  // nullopt: nobody sees it and nobody has a record of it.
  void explain(const TxnId& txn, Done<std::optional<v1::Explanation>> done);
  // What the leader of its coordinator group says of it; nullopt: none answers. seal: it never commits after that,
  // unless it has.
  void outcome(const TxnId& txn, bool seal, Done<std::optional<v1::Transaction>> done);
  struct Told {
    bool done = false;
    std::string why;  // not
  };
  void transfer(const v1::TransferLeaderRequest& request, Done<Told> done);
  // Of this node alone.
  [[nodiscard]] v1::Overview overview(const Loop& loop, std::uint64_t events_behind) const;

 private:
  class PeerCall;
  template <class Stub, class Request, class Response>
  class TypedPeerCall;
  template <class Response>
  struct Gathering;
  template <class Stub, class Request, class Response>
  using Ask = std::unique_ptr<grpc::ClientAsyncResponseReader<Response>> (Stub::*)(grpc::ClientContext*, const Request&,
                                                                                   grpc::CompletionQueue*);

  enum class Whom : std::uint8_t { others, all };
  // Asks every other node the same, or this one as well; answers that came, what was refused, and who sent nothing.
  template <class Stub, class Request, class Response>
  void ask_peers(Ask<Stub, Request, Response> method, const std::vector<Request>& requests,
                 Done<Gathering<Response>> done, Whom whom = Whom::others);
  [[nodiscard]] std::shared_ptr<grpc::Channel> channel(NodeId node);
  [[nodiscard]] v1::TxnPage own_txns(const v1::TxnsRequest& request) const;
  // The page of what was gathered, without what the leaders know to be over.
  void list(const v1::TxnsRequest& asked, const Gathering<v1::TxnPage>& all, const LeadersView& view,
            const Done<v1::TxnPage>& done);
  [[nodiscard]] v1::EventPage own_events(const v1::EventsRequest& request) const;
  [[nodiscard]] std::vector<v1::ExplainResponse> own_sights(const TxnId& txn) const;  // of the groups that it leads
  [[nodiscard]] std::optional<v1::TxnRecord> own_record(const TxnId& txn) const;

  const ClusterView& cluster_;
  const Recorder& recorder_;
  const EventLog& events_;
  const PeerLatencies& latencies_;
  const Loop* loop_ = nullptr;
  v1::Observe::AsyncService service_;
  RpcQueue* queue_ = nullptr;
  std::map<NodeId, std::shared_ptr<grpc::Channel>> channels_;
  std::set<PeerCall*> calls_;
  bool stopping_ = false;
};

}  // namespace assent
