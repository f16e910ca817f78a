// One key of shard s1, read and written at one node and at no other, whoever leads. What the client library would find
// another node for is refused here.
#pragma once

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <future>
#include <memory>
#include <string>

#include "assent/v1/assent.grpc.pb.h"
#include "client/transaction.h"

namespace assent::testing {

class NodeRegister {
 public:
  NodeRegister(const std::string& address, const std::string& key)
      : channel_(grpc::CreateChannel(address, grpc::InsecureChannelCredentials())),
        shard_(v1::Shard::NewStub(channel_)),
        coordinator_(v1::Coordinator::NewStub(channel_)),
        key_(key) {
    query_.set_shard("s1");
    query_.add_operations()->mutable_get()->set_key(key);
  }

  // A linearizable read. It is handed to the connection before this returns, and value() is its when it is over.
  std::future<grpc::Status> begin_read(std::chrono::milliseconds at_most = std::chrono::seconds(20)) {
    context_ = context_for(at_most);
    answer_.Clear();
    auto told = std::make_shared<std::promise<grpc::Status>>();
    shard_->async()->Query(context_.get(), &query_, &answer_,
                           [told](const grpc::Status& status) { told->set_value(status); });
    return told->get_future();
  }
  grpc::Status read(std::chrono::milliseconds at_most = std::chrono::seconds(20)) { return begin_read(at_most).get(); }
  [[nodiscard]] std::string value() const {
    if (answer_.results_size() != 1 || answer_.results(0).rows_size() != 1) return "";
    return answer_.results(0).rows(0).values(0).blob();
  }

  // True when the node says that it is committed.
  [[nodiscard]] bool write(const std::string& value, std::chrono::milliseconds at_most) {
    v1::ExecuteRequest request;
    request.set_txn_id(client::new_txn_id().to_hex());
    v1::Branch& branch = *request.add_branches();
    branch.set_shard("s1");
    auto& put = *branch.add_operations()->mutable_put();
    put.set_key(key_);
    put.set_value(value);
    v1::Transaction outcome;
    const auto context = context_for(at_most);
    return coordinator_->Execute(context.get(), request, &outcome).ok() && outcome.state() == v1::COMMITTED;
  }

 private:
  static std::unique_ptr<grpc::ClientContext> context_for(std::chrono::milliseconds at_most) {
    auto context = std::make_unique<grpc::ClientContext>();
    context->set_deadline(std::chrono::system_clock::now() + at_most);
    return context;
  }

  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::Shard::Stub> shard_;
  std::unique_ptr<v1::Coordinator::Stub> coordinator_;
  std::string key_;
  std::unique_ptr<grpc::ClientContext> context_;
  v1::QueryRequest query_;
  v1::QueryResponse answer_;
};

}  // namespace assent::testing
