// Three nodes that speak assent.v1 on free loopback ports and do what a test tells them: groups c0, s1 and s2, any of
// whose leaders the test chooses. What is real: gRPC, connections, errors with details. What is not: any transaction.
#pragma once

#include <grpcpp/grpcpp.h>

#include <array>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "assent/v1/assent.grpc.pb.h"

namespace assent::test {

using ExecuteHandler = std::function<grpc::Status(const v1::ExecuteRequest&, v1::Transaction&)>;
using OutcomeHandler = std::function<grpc::Status(const v1::GetOutcomeRequest&, v1::Transaction&)>;
using ExplainHandler = std::function<grpc::Status(const v1::ExplainRequest&, v1::ExplainResponse&)>;
using OverrideHandler = std::function<grpc::Status(const v1::OverrideRequest&, v1::Transaction&)>;
using ForgetHandler = std::function<grpc::Status(const v1::ForgetRequest&, v1::Transaction&)>;
using QueryHandler = std::function<grpc::Status(const v1::QueryRequest&, v1::QueryResponse&)>;

class FakeCluster {
 public:
  static constexpr std::array<const char*, 3> node_names{"n1", "n2", "n3"};

  FakeCluster();
  ~FakeCluster();

  // ---- what the nodes are ----
  void lead(const std::string& group, const std::string& node);  // empty: nobody
  // What non-leaders say instead of the truth.
  void mislead(const std::string& group, const std::string& node);
  void stop(const std::string& node);  // connections are cut, the port stays its own
  void start(const std::string& node);
  // Nodes tell this address of the node instead of its own, as for one that stands behind a proxy.
  void advertise(const std::string& node, const std::string& address);
  [[nodiscard]] std::string endpoint(const std::string& node) const;
  [[nodiscard]] std::vector<std::string> endpoints() const;
  [[nodiscard]] std::string endpoint_list() const;  // with commas
  void set_prepared(const std::string& shard, std::uint64_t prepared);

  // ---- what leaders answer; called on gRPC's threads, one at a time ----
  ExecuteHandler on_execute;
  OutcomeHandler on_outcome;
  QueryHandler on_query;
  ExplainHandler on_explain;
  OverrideHandler on_override;
  ForgetHandler on_forget;

  // ---- what leaders were asked, in order; non-leaders answer NOT_LEADER and are counted in misdirected() ----
  [[nodiscard]] std::vector<v1::ExecuteRequest> executed() const;
  [[nodiscard]] std::vector<v1::GetOutcomeRequest> asked() const;
  [[nodiscard]] std::size_t queried() const;
  [[nodiscard]] std::size_t misdirected() const;
  [[nodiscard]] std::vector<std::string> executors() const;  // the node of each of executed()

 private:
  class Node;
  friend class Node;

  [[nodiscard]] grpc::Status not_leader(const std::string& group);
  [[nodiscard]] bool leads(const std::string& node, const std::string& group) const;
  void fill_status(const std::string& node, v1::StatusResponse& response) const;

  mutable std::mutex mutex_;  // protects all below but the nodes' servers
  std::map<std::string, std::string> leaders_;
  std::map<std::string, std::string> hints_;
  std::map<std::string, std::string> advertised_;
  std::map<std::string, std::uint64_t> epochs_;
  std::map<std::string, std::uint64_t> prepared_;
  std::vector<v1::ExecuteRequest> executed_;
  std::vector<std::string> executors_;
  std::vector<v1::GetOutcomeRequest> asked_;
  std::size_t queried_ = 0;
  std::size_t misdirected_ = 0;
  std::mutex handler_mutex_;  // one handler at a time
  std::map<std::string, std::unique_ptr<Node>> nodes_;
};

// Answers and errors that handlers give.
[[nodiscard]] grpc::Status answer(v1::Transaction& out, const std::string& id, v1::TxnState state);
[[nodiscard]] grpc::Status abort_with(v1::Transaction& out, const std::string& id, const std::string& reason,
                                      const std::string& participant = "s1", const std::string& message = "no");
[[nodiscard]] grpc::Status outcome_unknown();
[[nodiscard]] grpc::Status connection_lost();  // as gRPC itself says it: without details

}  // namespace assent::test
