#include "server/observe_service.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <utility>

#include "observe/latency_map.h"
#include "observe/record_codec.h"
#include "observe/timeline.h"
#include "server/cluster_service.h"
#include "server/system_clock.h"
#include "txn_proto/api_error.h"
#include "txn_proto/sight_codec.h"

namespace assent {

namespace {

constexpr std::uint32_t txns_limit = 50;
constexpr std::uint32_t txns_limit_max = 500;
constexpr std::size_t visits_max = 5'000;  // records looked at for one page
constexpr std::uint32_t events_limit = 100;
constexpr std::uint32_t events_limit_max = 500;
constexpr std::size_t newest_max = 20;
constexpr int records_max = 200;
constexpr int records_per_call = 100;        // with all their steps they stay well below what a message may have
constexpr std::uint32_t sights_max = 1'000;  // of one group

std::int64_t now_micros() { return static_cast<std::int64_t>(SystemClock::wall_micros()); }

std::uint32_t limit_of(std::uint32_t asked, std::uint32_t otherwise, std::uint32_t most) {
  return asked == 0 ? otherwise : std::min(asked, most);
}

grpc::Status malformed_txn() {
  return to_status({.code = ErrorCode::malformed,
                    .reason = {},
                    .message = "txn_id: is not a transaction id (32 hex digits)",
                    .metadata = {},
                    .retry_after_millis = 0});
}

grpc::Status not_recorded() {
  return to_status({.code = ErrorCode::not_found,
                    .reason = "TXN_NOT_RECORDED",
                    .message =
                        "no node has a record of it: it is too long ago, or it never came here; what came of it, "
                        "assentctl txn get tells",
                    .metadata = {},
                    .retry_after_millis = 0});
}

template <class Page>
void add_unreachable(const ClusterView& cluster, const std::map<NodeId, std::string>& silent, Page& page) {
  for (const auto& [node, why] : silent) {
    v1::Unreachable& one = *page.add_unreachable();
    one.set_node(cluster.node_name(node));
    one.set_why(why);
  }
}

}  // namespace

// ---- asking the other nodes ----

class ObserveService::PeerCall : public RpcTag {
 public:
  void cancel() { context_.TryCancel(); }

 protected:
  ~PeerCall() = default;
  grpc::ClientContext context_;
};

// Deletes itself when it is over.
template <class Stub, class Request, class Response>
class ObserveService::TypedPeerCall final : public PeerCall {
 public:
  using Then = std::function<void(const grpc::Status&, Response&)>;
  TypedPeerCall(ObserveService& service, const std::shared_ptr<grpc::Channel>& channel, Then then)
      : service_(service), stub_(channel), then_(std::move(then)) {}

  void send(Ask<Stub, Request, Response> method, const Request& request) {
    context_.set_deadline(std::chrono::system_clock::now() + peer_patience);
    reader_ = (stub_.*method)(&context_, request, &service_.queue_->completions());
    service_.calls_.insert(this);
    reader_->Finish(&response_, &status_, static_cast<RpcTag*>(this));
  }
  void end(bool /*ok*/) override {
    service_.calls_.erase(this);
    then_(status_, response_);
    delete this;
  }

 private:
  ObserveService& service_;
  Stub stub_;
  Then then_;
  std::unique_ptr<grpc::ClientAsyncResponseReader<Response>> reader_;
  Response response_;
  grpc::Status status_;
};

template <class Response>
struct ObserveService::Gathering {
  std::size_t left = 1;  // one for whoever begins it
  std::vector<Response> answers;
  std::map<NodeId, std::string> silent;
  std::vector<std::string> refusals;  // by nodes that lead
};

template <class Stub, class Request, class Response>
void ObserveService::ask_peers(Ask<Stub, Request, Response> method, const std::vector<Request>& requests,
                               Done<Gathering<Response>> done, Whom whom) {
  const auto all = std::make_shared<Gathering<Response>>();
  const auto end_one = [all, done = std::move(done)] {
    if (--all->left == 0) done(std::move(*all));
  };
  for (const auto& [id, node] : cluster_.nodes) {
    if (id == cluster_.self && whom == Whom::others) continue;
    if (stopping_ || queue_ == nullptr || node.client_endpoint.empty()) {
      all->silent[id] = stopping_ ? "this node is stopping" : "its client address is not in cluster.clients";
      continue;
    }
    for (const Request& request : requests) {
      ++all->left;
      auto* const call = new TypedPeerCall<Stub, Request, Response>(
          *this, channel(id), [all, end_one, node_id = id](const grpc::Status& status, Response& response) {
            if (status.ok()) {
              all->answers.push_back(std::move(response));
            } else if (!has_details(status)) {
              all->silent[node_id] = status.error_message();
            } else if (from_status(status).code != ErrorCode::not_leader) {
              all->refusals.push_back(status.error_message());
            }
            end_one();
          });
      call->send(method, request);
    }
  }
  end_one();
}

std::shared_ptr<grpc::Channel> ObserveService::channel(NodeId node) {
  std::shared_ptr<grpc::Channel>& kept = channels_[node];
  if (kept == nullptr) {
    constexpr int backoff_millis_max = 1'000;
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, backoff_millis_max);
    arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
    kept = grpc::CreateCustomChannel(cluster_.nodes.at(node).client_endpoint, grpc::InsecureChannelCredentials(),
                                     arguments);
  }
  return kept;
}

void ObserveService::stop() {
  stopping_ = true;
  for (PeerCall* call : calls_) call->cancel();
}

// ---- one transaction ----

std::optional<v1::TxnRecord> ObserveService::own_record(const TxnId& txn) const {
  const TxnRecord* record = recorder_.find(txn);
  if (record == nullptr) return std::nullopt;
  return record_to_api(*record, {cluster_.groups, cluster_.self_node().name}, SystemClock().monotonic_micros());
}

void ObserveService::trace(const TxnId& txn, Done<std::optional<v1::TxnTrace>> done) {
  v1::RecordRequest request;
  request.set_txn_id(txn.to_hex());
  ask_peers<v1::Observe::Stub, v1::RecordRequest, v1::RecordResponse>(
      &v1::Observe::Stub::AsyncRecord, {request},
      [this, txn, done = std::move(done)](const Gathering<v1::RecordResponse>& all) {
        std::vector<v1::TxnRecord> records;
        if (auto own = own_record(txn)) records.push_back(std::move(*own));
        for (const v1::RecordResponse& answer : all.answers) {
          if (answer.has_record()) records.push_back(answer.record());
        }
        if (records.empty()) return done(std::nullopt);
        v1::TxnTrace trace = make_trace(records, now_micros());
        add_unreachable(cluster_, all.silent, trace);
        done(std::move(trace));
      });
}

void ObserveService::records(const std::vector<TxnId>& txns, Done<std::vector<std::vector<v1::TxnRecord>>> done) {
  std::vector<v1::RecordsRequest> requests;
  for (const TxnId& txn : txns) {
    if (requests.empty() || requests.back().txn_ids_size() == records_per_call) requests.emplace_back();
    requests.back().add_txn_ids(txn.to_hex());
  }
  // Its own at once: the ring goes on.
  std::map<std::string, std::vector<v1::TxnRecord>> own;
  for (const TxnId& txn : txns) {
    if (auto record = own_record(txn)) own[txn.to_hex()].push_back(std::move(*record));
  }
  ask_peers<v1::Observe::Stub, v1::RecordsRequest, v1::RecordsResponse>(
      &v1::Observe::Stub::AsyncRecords, requests,
      [own = std::move(own), done = std::move(done)](Gathering<v1::RecordsResponse> all) {
        std::map<std::string, std::vector<v1::TxnRecord>> by_txn = own;
        for (v1::RecordsResponse& answer : all.answers) {
          for (v1::TxnRecord& record : *answer.mutable_records()) {
            by_txn[record.summary().txn_id()].push_back(std::move(record));
          }
        }
        std::vector<std::vector<v1::TxnRecord>> out;
        out.reserve(by_txn.size());
        for (auto& [txn, records] : by_txn) out.push_back(std::move(records));
        done(std::move(out));
      });
}

void ObserveService::sights(const TxnId& txn, Done<LeadersView> done) {
  std::vector<v1::ExplainRequest> requests;
  for (const GroupConfig& group : cluster_.group_configs) {
    v1::ExplainRequest& request = requests.emplace_back();
    request.set_group(group.name);
    if (!txn.none()) request.set_txn_id(txn.to_hex());
    request.set_most(sights_max);
  }
  ask_peers<v1::Cluster::Stub, v1::ExplainRequest, v1::ExplainResponse>(
      &v1::Cluster::Stub::AsyncExplain, requests,
      [this, txn, done = std::move(done)](Gathering<v1::ExplainResponse> all) {
        for (v1::ExplainResponse& own : own_sights(txn)) all.answers.push_back(std::move(own));
        std::sort(all.answers.begin(), all.answers.end(),
                  [](const v1::ExplainResponse& a, const v1::ExplainResponse& b) { return a.group() < b.group(); });
        LeadersView view;
        view.silent = all.silent;
        for (v1::ExplainResponse& answer : all.answers) {
          if (static_cast<std::uint32_t>(answer.sights_size()) < sights_max) view.told.insert(answer.group());
          for (v1::Sight& sight : *answer.mutable_sights()) {
            v1::GroupSight& one = view.sights.emplace_back();
            one.set_group(answer.group());
            *one.mutable_sight() = std::move(sight);
          }
        }
        done(std::move(view));
      });
}

std::vector<v1::ExplainResponse> ObserveService::own_sights(const TxnId& txn) const {
  std::vector<v1::ExplainResponse> out;
  if (loop_ == nullptr) return out;
  for (const GroupStatus& status : loop_->status()) {
    if (!status.log.leadership.self_ready) continue;
    v1::ExplainResponse& one = out.emplace_back();
    one.set_group(status.config.name);
    const SightQuestion question{.txn = txn, .now = SystemClock().wall(), .most = sights_max};
    for (const Sight& sight : loop_->sights(status.config.id, question)) {
      *one.add_sights() = to_api(sight, cluster_.groups);
    }
  }
  return out;
}

void ObserveService::locks(Done<v1::SightPage> done) {
  sights({}, [this, done = std::move(done)](LeadersView view) {
    v1::SightPage page;
    for (v1::GroupSight& one : view.sights) {
      const v1::Sight& sight = one.sight();
      const bool alone = sight.waits_for().empty() && sight.blocks().empty() && sight.queries_blocked() == 0;
      if (!alone) *page.add_sights() = std::move(one);
    }
    page.set_as_of_unix_micros(now_micros());
    add_unreachable(cluster_, view.silent, page);
    done(std::move(page));
  });
}

void ObserveService::explain(const TxnId& txn, Done<std::optional<v1::Explanation>> done) {
  sights(txn, [this, txn, done = std::move(done)](LeadersView view) {
    v1::Explanation out;
    out.set_txn_id(txn.to_hex());
    for (v1::GroupSight& one : view.sights) *out.add_sights() = std::move(one);
    trace(txn, [out = std::move(out), done](std::optional<v1::TxnTrace> trace) mutable {
      if (!trace && out.sights().empty()) return done(std::nullopt);
      out.set_as_of_unix_micros(now_micros());
      if (trace) {
        *out.mutable_recorded() = trace->summary();
        out.set_why(trace->why());
        *out.mutable_unreachable() = trace->unreachable();
      } else {
        out.set_why("no node has a record of how it came to that; this is what the leaders see");
      }
      done(std::move(out));
    });
  });
}

// ---- actions ----

void ObserveService::outcome(const TxnId& txn, bool seal, Done<std::optional<v1::Transaction>> done) {
  constexpr auto wait = peer_patience * 7 / 10;
  v1::GetOutcomeRequest request;
  request.set_txn_id(txn.to_hex());
  request.set_seal(seal);
  if (seal) request.set_wait_millis(static_cast<std::uint32_t>(wait.count()));
  ask_peers<v1::Coordinator::Stub, v1::GetOutcomeRequest, v1::Transaction>(
      &v1::Coordinator::Stub::AsyncGetOutcome, {request},
      [done = std::move(done)](Gathering<v1::Transaction> all) {
        if (all.answers.empty()) return done(std::nullopt);
        done(std::move(all.answers.front()));
      },
      Whom::all);
}

void ObserveService::transfer(const v1::TransferLeaderRequest& request, Done<Told> done) {
  ask_peers<v1::Cluster::Stub, v1::TransferLeaderRequest, v1::TransferLeaderResponse>(
      &v1::Cluster::Stub::AsyncTransferLeader, {request},
      [done = std::move(done)](const Gathering<v1::TransferLeaderResponse>& all) {
        if (!all.answers.empty()) return done({.done = true, .why = {}});
        done({.done = false,
              .why = all.refusals.empty() ? "no node that answers leads this group now" : all.refusals.front()});
      },
      Whom::all);
}

// ---- many ----

v1::TxnPage ObserveService::own_txns(const v1::TxnsRequest& request) const {
  const std::uint64_t now = SystemClock().monotonic_micros();
  const std::size_t limit = limit_of(request.limit(), txns_limit, txns_limit_max);
  const RecordNames names{cluster_.groups, cluster_.self_node().name};
  std::vector<v1::TxnSummary> found;
  const TxnId cursor = TxnId::from_hex(request.cursor()).value_or(TxnId());
  std::size_t visits = 0;
  TxnId last;
  bool full = false;
  recorder_.visit([&](const TxnRecord& record) {
    if (!cursor.none() && record.txn >= cursor) return true;
    if (wants(request, to_string(progress_of(record))) && in_rectangle(record, request)) {
      v1::TxnSummary summary = summary_to_api(record, names, now);
      if (summary.duration_micros() >= request.slower_than_micros()) found.push_back(std::move(summary));
    }
    last = record.txn;
    full = (++visits == visits_max && !names_rectangle(request)) || found.size() == 2 * limit;
    return !full;
  });
  // Nearly in this order already: ids carry the time at which their clients made them.
  std::sort(found.begin(), found.end(),
            [](const v1::TxnSummary& a, const v1::TxnSummary& b) { return a.txn_id() > b.txn_id(); });
  v1::TxnPage page;
  if (full) page.set_next_cursor(last.to_hex());
  for (v1::TxnSummary& summary : found) {
    if (static_cast<std::size_t>(page.txns_size()) == limit) {
      page.set_next_cursor(page.txns(page.txns_size() - 1).txn_id());
      break;
    }
    v1::TxnSummary& put = *page.add_txns() = std::move(summary);
    if (!request.phases()) continue;
    const TxnRecord* record = recorder_.find(*TxnId::from_hex(put.txn_id()));
    for (v1::TxnPhase& phase : phases_to_api(*record, now)) *put.add_phases() = std::move(phase);
  }
  page.set_as_of_unix_micros(now_micros());
  return page;
}

void ObserveService::txns(const v1::TxnsRequest& request, Done<v1::TxnPage> done) {
  if (request.local()) return done(own_txns(request));
  v1::TxnsRequest asked = request;
  asked.set_local(true);
  ask_peers<v1::Observe::Stub, v1::TxnsRequest, v1::TxnPage>(
      &v1::Observe::Stub::AsyncTxns, {asked}, [this, asked, done = std::move(done)](Gathering<v1::TxnPage> all) {
        all.answers.push_back(own_txns(asked));
        if (!wants_open(asked)) return list(asked, all, {}, done);
        sights({}, [this, asked, done, all = std::move(all)](const LeadersView& view) mutable {
          all.answers.push_back(page_of(view, asked));
          list(asked, all, view, done);
        });
      });
}

void ObserveService::list(const v1::TxnsRequest& asked, const Gathering<v1::TxnPage>& all, const LeadersView& view,
                          const Done<v1::TxnPage>& done) {
  v1::TxnPage page = merged(all.answers, limit_of(asked.limit(), txns_limit, txns_limit_max));
  add_unreachable(cluster_, all.silent, page);
  const std::vector<TxnId> ended = ended_of(page, view, cluster_.groups);
  auto end = [asked, page, ended, done](const std::vector<std::vector<v1::TxnRecord>>& records) mutable {
    settle(ended, records, asked, page);
    page.set_as_of_unix_micros(now_micros());
    done(std::move(page));
  };
  if (ended.empty()) return end({});
  records(ended, std::move(end));
}

v1::EventPage ObserveService::own_events(const v1::EventsRequest& request) const {
  const std::size_t limit = limit_of(request.limit(), events_limit, events_limit_max);
  v1::EventPage page;
  for (auto event = events_.events().rbegin(); event != events_.events().rend(); ++event) {
    if (static_cast<std::size_t>(page.events_size()) == limit) break;
    *page.add_events() = event_to_api(*event, cluster_.self_node().name);
  }
  page.set_as_of_unix_micros(now_micros());
  return page;
}

void ObserveService::events(const v1::EventsRequest& request, Done<v1::EventPage> done) {
  if (request.local()) return done(own_events(request));
  v1::EventsRequest asked = request;
  asked.set_local(true);
  ask_peers<v1::Observe::Stub, v1::EventsRequest, v1::EventPage>(
      &v1::Observe::Stub::AsyncEvents, {asked}, [this, asked, done = std::move(done)](Gathering<v1::EventPage> all) {
        std::vector<v1::NodeEvent> events;
        all.answers.push_back(own_events(asked));
        for (const v1::EventPage& page : all.answers) {
          events.insert(events.end(), page.events().begin(), page.events().end());
        }
        std::stable_sort(events.begin(), events.end(), [](const v1::NodeEvent& a, const v1::NodeEvent& b) {
          return a.unix_micros() > b.unix_micros();
        });
        const std::size_t limit = limit_of(asked.limit(), events_limit, events_limit_max);
        if (events.size() > limit) events.resize(limit);
        v1::EventPage out;
        for (v1::NodeEvent& event : events) *out.add_events() = std::move(event);
        out.set_as_of_unix_micros(now_micros());
        add_unreachable(cluster_, all.silent, out);
        done(std::move(out));
      });
}

// The same window for all, so that what they counted can be added.
void ObserveService::latency(const v1::LatencyRequest& request, Done<v1::LatencyPage> done) {
  const LatencyWindow window = window_of(request, now_micros());
  v1::LatencyPage own = count_latencies(recorder_.latencies(), window);
  own.set_as_of_unix_micros(now_micros());
  if (request.local()) return done(std::move(own));
  v1::LatencyRequest asked;
  asked.set_from_unix_micros(window.from);
  asked.set_to_unix_micros(window.from + static_cast<std::int64_t>(window.column_micros * window.columns));
  asked.set_columns(window.columns);
  asked.set_local(true);
  ask_peers<v1::Observe::Stub, v1::LatencyRequest, v1::LatencyPage>(
      &v1::Observe::Stub::AsyncLatency, {asked},
      [this, page = std::move(own), done = std::move(done)](const Gathering<v1::LatencyPage>& all) mutable {
        for (const v1::LatencyPage& other : all.answers) add_latencies(other, page);
        add_unreachable(cluster_, all.silent, page);
        done(std::move(page));
      });
}

void ObserveService::cluster(Loop& loop, Done<v1::ClusterPage> done) {
  v1::StatusResponse own;
  write_status(cluster_, loop, latencies_, false, own);
  ask_peers<v1::Cluster::Stub, v1::StatusRequest, v1::StatusResponse>(
      &v1::Cluster::Stub::AsyncStatus, {v1::StatusRequest()},
      [this, own = std::move(own), done = std::move(done)](Gathering<v1::StatusResponse> all) {
        all.answers.push_back(own);
        std::sort(all.answers.begin(), all.answers.end(),
                  [](const v1::StatusResponse& a, const v1::StatusResponse& b) { return a.node() < b.node(); });
        v1::ClusterPage page;
        for (v1::StatusResponse& answer : all.answers) *page.add_nodes() = std::move(answer);
        page.set_as_of_unix_micros(now_micros());
        add_unreachable(cluster_, all.silent, page);
        done(std::move(page));
      });
}

v1::Overview ObserveService::overview(const Loop& loop, std::uint64_t events_behind) const {
  v1::Overview out;
  out.set_node(cluster_.self_node().name);
  out.set_as_of_unix_micros(now_micros());
  std::uint64_t started = 0;
  std::uint64_t committed = 0;
  std::uint64_t aborted = 0;
  for (const ProtocolFigures& one : recorder_.figures().by_protocol) {
    started += one.started;
    committed += one.committed.count();
    aborted += one.aborted.count();
  }
  out.set_started(started);
  out.set_committed(committed);
  out.set_aborted(aborted);
  for (const GroupStatus& group : loop.status()) {
    if (!group.log.leadership.self_ready) continue;
    out.set_running(out.running() + group.application.active);
    out.set_in_doubt(out.in_doubt() + group.application.prepared);
    out.set_in_doubt_oldest_millis(
        std::max(out.in_doubt_oldest_millis(), group.application.oldest_prepared_age_millis));
  }
  const RecordNames names{cluster_.groups, cluster_.self_node().name};
  recorder_.visit([&](const TxnRecord& record) {
    *out.add_newest() = summary_to_api(record, names, SystemClock().monotonic_micros());
    return static_cast<std::size_t>(out.newest_size()) < newest_max;
  });
  for (const NodeEvent& event : events_.events()) {
    if (event.number > events_behind) *out.add_events() = event_to_api(event, names.node);
  }
  return out;
}

// ---- the gRPC service ----

void ObserveService::open(RpcQueue& queue) {
  using Service = v1::Observe::AsyncService;
  queue_ = &queue;
  serve<Service, Service, v1::RecordRequest, v1::RecordResponse>(
      service_, &Service::RequestRecord, queue, [this](auto& call) {
        const std::optional<TxnId> txn = TxnId::from_hex(call.request().txn_id());
        if (!txn) return call.finish(malformed_txn());
        if (auto record = own_record(*txn)) *call.response().mutable_record() = std::move(*record);
        call.finish(grpc::Status::OK);
      });
  serve<Service, Service, v1::RecordsRequest, v1::RecordsResponse>(
      service_, &Service::RequestRecords, queue, [this](auto& call) {
        int asked = 0;
        for (const std::string& id : call.request().txn_ids()) {
          const std::optional<TxnId> txn = TxnId::from_hex(id);
          if (!txn) return call.finish(malformed_txn());
          if (++asked > records_max) break;
          if (auto record = own_record(*txn)) *call.response().add_records() = std::move(*record);
        }
        call.finish(grpc::Status::OK);
      });
  serve<Service, Service, v1::TraceRequest, v1::TxnTrace>(service_, &Service::RequestTrace, queue, [this](auto& call) {
    const std::optional<TxnId> txn = TxnId::from_hex(call.request().txn_id());
    if (!txn) return call.finish(malformed_txn());
    trace(*txn, [&call](std::optional<v1::TxnTrace> found) {
      if (!found) return call.finish(not_recorded());
      call.response() = std::move(*found);
      call.finish(grpc::Status::OK);
    });
  });
  serve<Service, Service, v1::TxnsRequest, v1::TxnPage>(service_, &Service::RequestTxns, queue, [this](auto& call) {
    txns(call.request(), [&call](v1::TxnPage page) {
      call.response() = std::move(page);
      call.finish(grpc::Status::OK);
    });
  });
  serve<Service, Service, v1::LatencyRequest, v1::LatencyPage>(service_, &Service::RequestLatency, queue,
                                                               [this](auto& call) {
                                                                 latency(call.request(), [&call](v1::LatencyPage page) {
                                                                   call.response() = std::move(page);
                                                                   call.finish(grpc::Status::OK);
                                                                 });
                                                               });
  serve<Service, Service, v1::EventsRequest, v1::EventPage>(service_, &Service::RequestEvents, queue,
                                                            [this](auto& call) {
                                                              events(call.request(), [&call](v1::EventPage page) {
                                                                call.response() = std::move(page);
                                                                call.finish(grpc::Status::OK);
                                                              });
                                                            });
}

}  // namespace assent
