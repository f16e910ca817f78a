// The conformance kit's hand: calls a participant as a coordinator would, and notes in words what it was told.
//
// Knows the wire, gRPC or HTTP call-back, and nothing of any library for participants: it is to find their faults. Not
// the checks themselves (checks.h). May be used from several threads at a time.
#pragma once

#include <grpcpp/grpcpp.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <vector>

#include "assent/v1/participant.grpc.pb.h"
#include "base/bytes.h"
#include "base/ids.h"
#include "txn_proto/participant_http.h"
#include "txn_proto/service_target.h"

namespace assent::conformance {

struct Attempt {
  std::uint64_t epoch = 1;
  std::uint64_t number = 1;
  bool operator==(const Attempt&) const = default;
};
[[nodiscard]] std::string to_string(const Attempt& attempt);

struct BranchRef {
  TxnId txn;
  std::string branch;
};

// What a call was told.
struct Told {
  std::string call;  // in words
  grpc::StatusCode code = grpc::StatusCode::UNKNOWN;
  std::string reason;
  std::string message;
  v1::Vote vote = v1::VOTE_NONE;
  bool has_attempt = false;
  Attempt attempt;
  Bytes result;
  v1::BranchState state = v1::BRANCH_EMPTY;
  std::string coordinator;

  [[nodiscard]] bool ok() const { return code == grpc::StatusCode::OK; }
  [[nodiscard]] bool yes() const { return ok() && vote == v1::VOTE_YES; }
  // Done or definitely not; anything else is to be asked again.
  [[nodiscard]] bool definite() const;
  [[nodiscard]] std::string text() const;  // "Prepare of attempt 1.1 was answered ABORTED VOTE_NO: ..."
};

struct Target {
  std::string address;                        // host:port, grpcs://host:port, http:// or https://host:port/path
  std::string participant;                    // named in each call; empty: not
  Bytes payload;                              // that it says yes to
  std::chrono::milliseconds patience{5'000};  // for a definite answer
  std::string ca_file = {};                   // with TLS; empty: whoever the machine trusts
};

struct HttpReply {
  int status = 0;
  std::string body;
};

class Probe {
 public:
  explicit Probe(Target target);
  ~Probe();  // aborts what is still prepared
  Probe(const Probe&) = delete;
  Probe& operator=(const Probe&) = delete;

  [[nodiscard]] const Target& target() const { return target_; }
  // Connects anew: the participant was restarted.
  void reconnect();
  // By HTTP call-back a service may leave Status out. Known once it was asked.
  [[nodiscard]] bool tells_status() const { return tells_status_; }

  // Asked again, as a coordinator does, until the answer is definite or the patience is at its end.
  [[nodiscard]] Told prepare(const BranchRef& branch, Attempt attempt = {});
  [[nodiscard]] Told prepare(const BranchRef& branch, Attempt attempt, const Bytes& payload);
  [[nodiscard]] Told commit(const BranchRef& branch, Attempt attempt = {});
  [[nodiscard]] Told abort(const BranchRef& branch, Attempt attempt = {});
  // Until it is none of "a call is running".
  [[nodiscard]] Told status(const BranchRef& branch);

  // Once, as it is.
  [[nodiscard]] Told once(const v1::PrepareRequest& request);
  [[nodiscard]] Told once(const v1::CommitRequest& request);
  [[nodiscard]] Told once(const v1::AbortRequest& request);
  [[nodiscard]] Told once(const v1::BranchStatusRequest& request);
  // Bytes that are no message at all.
  [[nodiscard]] Told garbage(const std::string& method);

  [[nodiscard]] v1::PrepareRequest prepare_request(const BranchRef& branch, Attempt attempt) const;
  template <class Request>
  [[nodiscard]] Request request(const BranchRef& branch, Attempt attempt) const;

 private:
  template <class Request, class Response>
  using StubMethod = grpc::Status (v1::Participant::Stub::*)(grpc::ClientContext*, const Request&, Response*);

  [[nodiscard]] std::shared_ptr<grpc::Channel> channel();
  template <class Request, class Response>
  Response call(Told& told, const Request& request, StubMethod<Request, Response> method);
  // By HTTP: what came back, or in words why nothing did.
  [[nodiscard]] tl::expected<HttpReply, std::string> post(std::string_view verb, const std::string& body) const;
  void ask(Told& told, const HttpParticipantCall& call, v1::PrepareResponse& response) const;
  [[nodiscard]] Told until_definite(const std::function<Told()>& call);
  void remember(const BranchRef& branch, const Told& told);

  const Target target_;
  const std::optional<HttpTarget> http_;
  std::atomic<bool> tells_status_ = true;
  std::mutex mutex_;  // protects all below
  std::shared_ptr<grpc::Channel> channel_;
  std::vector<std::pair<BranchRef, Attempt>> yeses_;
};

template <class Request>
Request Probe::request(const BranchRef& branch, Attempt attempt) const {
  Request out;
  out.set_txn_id(branch.txn.to_hex());
  out.set_branch(branch.branch);
  out.mutable_attempt()->set_epoch(attempt.epoch);
  out.mutable_attempt()->set_number(attempt.number);
  out.set_coordinator("conformance");
  out.set_participant(target_.participant);
  return out;
}

}  // namespace assent::conformance
