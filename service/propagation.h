// How a transaction travels with ordinary calls, explicitly: nothing is thread-local, no interceptor is needed, and
// metadata is appended, never replaced.
//
// Who begins a transaction:
//   OutgoingTransaction tx(id, "c0");
//   grpc::ClientContext context;
//   tx.attach(context);                                    // metadata assent-txid, assent-branch, assent-coordinator
//   grpc::Status status = ledger->Credit(&context, request, &response);
//   auto heard = tx.collect(context);                      // who wants to take part, from the trailing metadata
//   ... tx.enlistments() to the coordinator
//
// A handler, which may call others in turn:
//   IncomingTransaction tx(*server_context, warn);
//   if (tx.caller()) auto branch = tx.enlist({.participant = "ledger", .address = own_address, .payload = ...});
//   tx.attach(client_context); ... tx.collect(client_context);   // theirs are passed on
//
// A handler that receives a transaction, and at its end has neither enlisted anybody nor passed it on, is told to
// `warn`: what it did is outside of the transaction. Objects belong to one call and one thread. Bytes from strangers
// are values or Errors (malformed).
#pragma once

#include <grpcpp/client_context.h>
#include <grpcpp/server_context.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "service/branch.h"

namespace assent::service {

inline constexpr const char* txid_key = "assent-txid";
inline constexpr const char* branch_key = "assent-branch";
inline constexpr const char* coordinator_key = "assent-coordinator";
inline constexpr const char* enlisted_key = "assent-enlisted-bin";

inline constexpr std::size_t enlisted_payload_bytes_max = 4'096;
// Of all enlistments in one answer: gRPC refuses more than 8 KiB of metadata, and base64 takes a third more.
inline constexpr std::size_t enlisted_bytes_max = 5'500;

struct Enlistment {
  std::string branch = {};  // set by enlist()
  std::string participant = {};
  std::string address = {};  // host:port
  Bytes payload = {};
  bool operator==(const Enlistment&) const = default;
};
// The serialized assent.v1.Enlistment. Error malformed: a name or the payload breaks its limits.
[[nodiscard]] Result<Bytes> encode(const Enlistment& enlistment);
[[nodiscard]] Result<Enlistment> decode(std::string_view bytes);

// The transaction of whoever called.
struct CallerTransaction {
  TxnId txn;
  std::string branch;  // a prefix for names of branches
  std::string coordinator;
  bool operator==(const CallerTransaction&) const = default;
};
// Nothing when no key is there. Error malformed: no id, two different ones, a key without the others.
using Metadata = std::multimap<std::string, std::string>;
[[nodiscard]] Result<std::optional<CallerTransaction>> read_caller(const Metadata& metadata);

// Enlistments gathered from calls: each branch once, in the order that they came.
class Enlistments {
 public:
  // false: the branch is there already, as it is (a call that gRPC sent twice). Error refused: there with other
  // content; or there are too many bytes of them for one answer, unless unbounded.
  [[nodiscard]] Result<bool> add(Enlistment enlistment, bool bounded);
  [[nodiscard]] const std::vector<Enlistment>& all() const { return all_; }

 private:
  std::vector<Enlistment> all_;
  std::size_t bytes_ = 0;
};

class OutgoingTransaction {
 public:
  OutgoingTransaction(const TxnId& txn, std::string coordinator) : own_{txn, "", std::move(coordinator)} {}

  // A prefix of its own for each call.
  void attach(grpc::ClientContext& context);
  // Once the call is over. How many there were. Error malformed: somebody sent what is no enlistment.
  [[nodiscard]] Result<std::size_t> collect(const grpc::ClientContext& context);
  [[nodiscard]] const std::vector<Enlistment>& enlistments() const { return gathered_.all(); }

 private:
  const CallerTransaction own_;
  std::uint64_t calls_ = 0;
  Enlistments gathered_;
};

class IncomingTransaction {
 public:
  explicit IncomingTransaction(grpc::ServerContext& context, std::function<void(const std::string&)> warn = {});
  ~IncomingTransaction();
  IncomingTransaction(const IncomingTransaction&) = delete;
  IncomingTransaction& operator=(const IncomingTransaction&) = delete;

  // Nothing: the call belongs to no transaction, or what it brought cannot be read (trouble()).
  [[nodiscard]] const std::optional<CallerTransaction>& caller() const { return caller_; }
  [[nodiscard]] const std::optional<Error>& trouble() const { return trouble_; }
  // The name of the branch, for a service that prepares something under it already. Error refused: there is no
  // transaction; malformed: a limit is broken.
  [[nodiscard]] Result<std::string> enlist(Enlistment enlistment);
  // For calls to others on the transaction's behalf; without a transaction nothing happens.
  void attach(grpc::ClientContext& context);
  [[nodiscard]] Result<std::size_t> collect(const grpc::ClientContext& context);

 private:
  [[nodiscard]] Result<void> tell(Enlistment enlistment);

  grpc::ServerContext& context_;
  const std::function<void(const std::string&)> warn_;
  std::optional<CallerTransaction> caller_;
  std::optional<Error> trouble_;
  std::uint64_t calls_ = 0;
  Enlistments told_;
};

}  // namespace assent::service
