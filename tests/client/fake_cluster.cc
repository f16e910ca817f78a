#include "tests/client/fake_cluster.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "txn_proto/api_error.h"

namespace assent::test {

class FakeCluster::Node final : public v1::Coordinator::Service,
                                public v1::Shard::Service,
                                public v1::Cluster::Service {
 public:
  Node(FakeCluster& cluster, std::string name) : cluster_(cluster), name_(std::move(name)) {}
  ~Node() override { stop(); }

  void start() {
    grpc::ServerBuilder builder;
    int port = port_;
    builder.AddListeningPort(fmt::format("127.0.0.1:{}", port_), grpc::InsecureServerCredentials(), &port);
    builder.RegisterService(static_cast<v1::Coordinator::Service*>(this));
    builder.RegisterService(static_cast<v1::Shard::Service*>(this));
    builder.RegisterService(static_cast<v1::Cluster::Service*>(this));
    server_ = builder.BuildAndStart();
    port_ = port;
  }
  void stop() {
    if (server_ == nullptr) return;
    server_->Shutdown(std::chrono::system_clock::now());
    server_->Wait();
    server_.reset();
  }
  [[nodiscard]] std::string endpoint() const { return fmt::format("127.0.0.1:{}", port_); }

  grpc::Status Execute(grpc::ServerContext*, const v1::ExecuteRequest* request, v1::Transaction* response) override {
    const bool one_phase = request->branches_size() == 1 && request->protocol() < v1::TWO_PHASE;
    const std::string group = one_phase ? request->branches(0).shard() : "c0";
    if (!cluster_.leads(name_, group)) return cluster_.not_leader(group);
    {
      const std::lock_guard lock(cluster_.mutex_);
      cluster_.executed_.push_back(*request);
      cluster_.executors_.push_back(name_);
    }
    const std::lock_guard lock(cluster_.handler_mutex_);
    if (cluster_.on_execute) return cluster_.on_execute(*request, *response);
    return answer(*response, request->txn_id(), v1::COMMITTED);
  }
  grpc::Status GetOutcome(grpc::ServerContext*, const v1::GetOutcomeRequest* request,
                          v1::Transaction* response) override {
    const std::string group = request->group().empty() ? "c0" : request->group();
    if (!cluster_.leads(name_, group)) return cluster_.not_leader(group);
    {
      const std::lock_guard lock(cluster_.mutex_);
      cluster_.asked_.push_back(*request);
    }
    const std::lock_guard lock(cluster_.handler_mutex_);
    response->set_answered_by(group);
    if (cluster_.on_outcome) return cluster_.on_outcome(*request, *response);
    return answer(*response, request->txn_id(), v1::UNKNOWN);
  }
  grpc::Status Override(grpc::ServerContext*, const v1::OverrideRequest* request, v1::Transaction* response) override {
    if (!cluster_.leads(name_, request->shard())) return cluster_.not_leader(request->shard());
    const std::lock_guard lock(cluster_.handler_mutex_);
    return cluster_.on_override ? cluster_.on_override(*request, *response) : grpc::Status::OK;
  }
  grpc::Status Forget(grpc::ServerContext*, const v1::ForgetRequest* request, v1::Transaction* response) override {
    if (!cluster_.leads(name_, request->shard())) return cluster_.not_leader(request->shard());
    const std::lock_guard lock(cluster_.handler_mutex_);
    return cluster_.on_forget ? cluster_.on_forget(*request, *response) : grpc::Status::OK;
  }
  grpc::Status Query(grpc::ServerContext*, const v1::QueryRequest* request, v1::QueryResponse* response) override {
    if (!cluster_.leads(name_, request->shard())) return cluster_.not_leader(request->shard());
    {
      const std::lock_guard lock(cluster_.mutex_);
      cluster_.queried_ += 1;
    }
    const std::lock_guard lock(cluster_.handler_mutex_);
    if (cluster_.on_query) return cluster_.on_query(*request, *response);
    response->set_index(7);
    return grpc::Status::OK;
  }
  grpc::Status Status(grpc::ServerContext*, const v1::StatusRequest*, v1::StatusResponse* response) override {
    cluster_.fill_status(name_, *response);
    return grpc::Status::OK;
  }
  grpc::Status Explain(grpc::ServerContext*, const v1::ExplainRequest* request,
                       v1::ExplainResponse* response) override {
    if (!cluster_.leads(name_, request->group())) return cluster_.not_leader(request->group());
    const std::lock_guard lock(cluster_.handler_mutex_);
    response->set_group(request->group());
    return cluster_.on_explain ? cluster_.on_explain(*request, *response) : grpc::Status::OK;
  }
  grpc::Status TransferLeader(grpc::ServerContext*, const v1::TransferLeaderRequest* request,
                              v1::TransferLeaderResponse*) override {
    if (!cluster_.leads(name_, request->group())) return cluster_.not_leader(request->group());
    cluster_.lead(request->group(), request->to());
    return grpc::Status::OK;
  }

 private:
  FakeCluster& cluster_;
  const std::string name_;
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

FakeCluster::FakeCluster() {
  leaders_ = {{"c0", "n1"}, {"s1", "n2"}, {"s2", "n3"}};
  epochs_ = {{"c0", 1}, {"s1", 1}, {"s2", 1}};
  for (const char* name : node_names) {
    nodes_[name] = std::make_unique<Node>(*this, name);
    nodes_[name]->start();
  }
}

FakeCluster::~FakeCluster() {
  for (auto& [name, node] : nodes_) node->stop();
}

void FakeCluster::lead(const std::string& group, const std::string& node) {
  const std::lock_guard lock(mutex_);
  leaders_[group] = node;
  epochs_[group] += 1;
}
void FakeCluster::mislead(const std::string& group, const std::string& node) {
  const std::lock_guard lock(mutex_);
  hints_[group] = node;
}
void FakeCluster::advertise(const std::string& node, const std::string& address) {
  const std::lock_guard lock(mutex_);
  advertised_[node] = address;
}
void FakeCluster::stop(const std::string& node) { nodes_.at(node)->stop(); }
void FakeCluster::start(const std::string& node) { nodes_.at(node)->start(); }
std::string FakeCluster::endpoint(const std::string& node) const { return nodes_.at(node)->endpoint(); }

std::vector<std::string> FakeCluster::endpoints() const {
  std::vector<std::string> out;
  for (const auto& [name, node] : nodes_) out.push_back(node->endpoint());
  return out;
}
std::string FakeCluster::endpoint_list() const { return fmt::format("{}", fmt::join(endpoints(), ",")); }

void FakeCluster::set_prepared(const std::string& shard, std::uint64_t prepared) {
  const std::lock_guard lock(mutex_);
  prepared_[shard] = prepared;
}

std::vector<v1::ExecuteRequest> FakeCluster::executed() const {
  const std::lock_guard lock(mutex_);
  return executed_;
}
std::vector<v1::GetOutcomeRequest> FakeCluster::asked() const {
  const std::lock_guard lock(mutex_);
  return asked_;
}
std::size_t FakeCluster::queried() const {
  const std::lock_guard lock(mutex_);
  return queried_;
}
std::size_t FakeCluster::misdirected() const {
  const std::lock_guard lock(mutex_);
  return misdirected_;
}
std::vector<std::string> FakeCluster::executors() const {
  const std::lock_guard lock(mutex_);
  return executors_;
}

bool FakeCluster::leads(const std::string& node, const std::string& group) const {
  const std::lock_guard lock(mutex_);
  const auto found = leaders_.find(group);
  return found != leaders_.end() && found->second == node;
}

grpc::Status FakeCluster::not_leader(const std::string& group) {
  const std::lock_guard lock(mutex_);
  misdirected_ += 1;
  ApiError error{ErrorCode::not_leader, {}, "this node does not lead " + group, {{metadata_group, group}}, 0};
  const std::string leader = hints_.contains(group) ? hints_[group] : leaders_[group];
  if (!leader.empty()) {
    error.metadata[metadata_leader] = leader;
    error.metadata[metadata_endpoint] = nodes_.at(leader)->endpoint();
  }
  return to_status(error);
}

void FakeCluster::fill_status(const std::string& node, v1::StatusResponse& response) const {
  const std::lock_guard lock(mutex_);
  response.set_node(node);
  response.set_version("fake");
  for (const auto& [name, fake] : nodes_) {
    v1::Node& known = *response.add_nodes();
    known.set_name(name);
    known.set_client_endpoint(advertised_.contains(name) ? advertised_.at(name) : fake->endpoint());
  }
  for (const auto& [group, leader] : leaders_) {
    v1::Replica& replica = *response.add_replicas();
    replica.set_group(group);
    replica.set_role(group == "c0" ? "coordinator" : "shard");
    for (const char* member : node_names) {
      replica.add_members(member);
      v1::ReplicaMember& one = *replica.add_membership();
      one.set_node(member);
      one.set_role("voter");
    }
    replica.set_leader(hints_.contains(group) ? hints_.at(group) : leader);
    replica.set_leads(leader == node && !hints_.contains(group));
    replica.set_epoch(epochs_.at(group));
    replica.set_committed_index(1'234);
    replica.set_applied_index(1'233);
    if (prepared_.contains(group)) replica.set_prepared(prepared_.at(group));
  }
  response.mutable_counters()->set_wal_syncs(42);
}

grpc::Status answer(v1::Transaction& out, const std::string& id, v1::TxnState state) {
  out.set_txn_id(id);
  out.set_state(state);
  return grpc::Status::OK;
}

grpc::Status abort_with(v1::Transaction& out, const std::string& id, const std::string& reason,
                        const std::string& participant, const std::string& message) {
  out.mutable_abort()->set_reason(reason);
  out.mutable_abort()->set_participant(participant);
  out.mutable_abort()->set_message(message);
  return answer(out, id, v1::ABORTED);
}

grpc::Status outcome_unknown() {
  return to_status(ApiError{ErrorCode::unknown_outcome, {}, "leadership was lost while it ran", {}, 0});
}

grpc::Status connection_lost() { return {grpc::StatusCode::UNAVAILABLE, "Socket closed"}; }

}  // namespace assent::test
