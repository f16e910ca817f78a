// A service that takes part in transactions and remembers in this process: the table of assent/v1/participant.proto, as
// plainly as can be, over an account whose balance must not fall below zero. Faults on demand. Safe from any thread.
#pragma once

#include <grpcpp/grpcpp.h>

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "assent/v1/participant.grpc.pb.h"

namespace assent::testing {

// A Prepare's payload is a decimal number to be added to the balance.
class PlainService final : public assent::v1::Participant::Service {
 public:
  explicit PlainService(std::int64_t balance) : balance_(balance) {}
  ~PlainService() override { stop(); }
  PlainService(const PlainService&) = delete;
  PlainService& operator=(const PlainService&) = delete;

  // Listens; on the port that it had before, if any.
  void start();
  void stop();
  [[nodiscard]] std::string target() const { return "127.0.0.1:" + std::to_string(port_); }

  // The next calls of Prepare, Commit, Abort are lost: before they do anything, or after.
  void lose_requests(int count);
  void lose_answers(int count);
  void refuse_aborts(bool refuse);  // with an error that is neither a yes nor a no

  [[nodiscard]] std::int64_t balance() const;
  [[nodiscard]] std::size_t prepared() const;
  [[nodiscard]] std::vector<std::string> in_doubt() const;  // transactions
  void resolve(const std::string& txn_id, bool commit);     // by somebody who asked
  [[nodiscard]] std::uint64_t effects() const;              // commits that changed the balance

 private:
  enum class State : std::uint8_t { prepared, committed, aborted, refused };
  struct Branch {
    State state = State::aborted;
    assent::v1::Attempt attempt;
    std::int64_t amount = 0;
  };
  using Key = std::pair<std::string, std::string>;

  grpc::Status Prepare(grpc::ServerContext* context, const assent::v1::PrepareRequest* request,
                       assent::v1::PrepareResponse* response) override;
  grpc::Status Commit(grpc::ServerContext* context, const assent::v1::CommitRequest* request,
                      assent::v1::CommitResponse* response) override;
  grpc::Status Abort(grpc::ServerContext* context, const assent::v1::AbortRequest* request,
                     assent::v1::AbortResponse* response) override;
  // These want the lock held.
  [[nodiscard]] grpc::Status prepare(const assent::v1::PrepareRequest& request, assent::v1::PrepareResponse& response);
  [[nodiscard]] grpc::Status finish(const Key& key, const assent::v1::Attempt& attempt, bool commit);
  [[nodiscard]] std::int64_t promised() const;  // what prepared debits will take
  template <class Work>
  grpc::Status faulty(const Work& work);

  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
  mutable std::mutex mutex_;  // protects all below
  std::map<Key, Branch> branches_;
  std::int64_t balance_;
  std::uint64_t effects_ = 0;
  int requests_to_lose_ = 0;
  int answers_to_lose_ = 0;
  bool refuses_aborts_ = false;
};

}  // namespace assent::testing
