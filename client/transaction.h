// What a program asks of the service and what it hears: transactions, outcomes, reads. Plain values; no gRPC, no
// protobuf.
//
// Work itself (SqlStatement, KvGet, KvPut, KvErase, KvExpect, KvAdd) and results are the project's own plain structs of
// txn_proto/types.h; here shards go by name.
#pragma once

#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/ids.h"
#include "txn_proto/types.h"

namespace assent::client {

// A new transaction id: UUIDv7 of the current time with randomness from the operating system. Safe from any thread.
[[nodiscard]] TxnId new_txn_id();

// Any of: nullptr, an integer, a floating point number, text, SqlBlob, SqlValue.
template <class T>
[[nodiscard]] SqlValue sql_value(T&& value) {
  using Plain = std::remove_cvref_t<T>;
  if constexpr (std::same_as<Plain, std::nullptr_t>) {
    return SqlNull{};
  } else if constexpr (std::integral<Plain>) {
    return static_cast<std::int64_t>(value);
  } else if constexpr (std::floating_point<Plain>) {
    return static_cast<double>(value);
  } else if constexpr (std::convertible_to<T, std::string_view>) {
    return std::string(std::string_view(value));
  } else {
    return SqlValue(std::forward<T>(value));
  }
}

// sql("UPDATE accounts SET balance = balance - ?1 WHERE id = ?2", 50, "alice")
template <class... Values>
[[nodiscard]] SqlStatement sql(std::string text, Values&&... parameters) {
  return SqlStatement{std::move(text), {sql_value(std::forward<Values>(parameters))...}};
}

struct Branch {
  std::string shard;
  Work work;
  bool operator==(const Branch&) const = default;
};

// What a service is to do in a transaction: the payload is its own business. docs/SERVICES.md says what a service is.
struct ServiceCall {
  std::string name;    // one for each call of the transaction, and no group's name
  std::string target;  // host:port, as the coordinator's nodes reach it
  Bytes payload;
  std::string participant = {};  // its own name, so that nobody else at that address takes part; empty: not told
  bool retriable = false;        // of a saga, behind those that are not: called once it is committed, until it is done
  // When it has not voted so long after it was first called, or after so many calls, the transaction aborts. 0: no
  // bound but the transaction's own. Not with retriable.
  std::chrono::milliseconds timeout{0};
  std::uint32_t max_calls = 0;
  bool operator==(const ServiceCall&) const = default;
};

struct Transaction {
  TxnId id;        // none: chosen by the client. A transaction id is attempted once; its outcome never changes.
  TxnId first_id;  // of the first attempt of the same business, so that a retry keeps its age; none: id
  Protocol protocol = Protocol::automatic;
  Mode mode = Mode::atomic;  // any other only with services; PROTOCOL.md section 7 says what each promises
  // How long the service may try before it aborts. Zero: two thirds of the time the call may last, so that a
  // transaction that is merely slow comes back aborted, not unknown.
  std::chrono::milliseconds timeout{0};
  std::vector<Branch> branches;       // one for each shard, none empty
  std::vector<ServiceCall> services;  // with any, the transaction runs in two phases
  // Route::epoch, when Client::route() told which shard a key belongs to: refused with the reason STALE_MAP when there
  // is a newer map, by which it may belong elsewhere. Nothing was begun then, unless the outcome says otherwise.
  std::optional<std::uint64_t> routed_by = {};

  // Adds an operation to the shard's branch, which is made when it is not there yet.
  Transaction& on(std::string_view shard, Operation operation);
  // A service takes part, too.
  Transaction& call(ServiceCall service);
};

// Why a transaction aborted.
struct Abort {
  AbortReason reason = AbortReason::none;
  std::string participant;  // the shard that said no; empty: the coordinator
  std::string message;      // one sentence
  std::string constraint;   // the violated one, with reason constraint
  TxnId holder;             // who holds the lock, with reason conflict
  bool operator==(const Abort&) const = default;
};

struct BranchResult {
  std::string shard;
  WorkResult results;  // one for each operation
  bool operator==(const BranchResult&) const = default;
};

// What is known of a transaction. Committed and aborted are for ever; anything else is "ask again", never "no".
struct TxnOutcome {
  TxnId id;
  TxnState state = TxnState::unknown;
  Protocol protocol = Protocol::automatic;
  Mode mode = Mode::atomic;
  Attempt attempt;                        // of a two-phase commit; else {0,0}. See "in doubt" in participant.proto
  Abort abort;                            // with aborted
  std::vector<BranchResult> results;      // of a commit; empty when the outcome was learned by asking later
  std::vector<std::string> participants;  // when known
  ClusterMillis decided_at;               // when known
  std::string answered_by;                // the group that said so
  Bill bill;                              // what it cost; empty when whoever answered does not know
  bool by_hand = false;                   // an operator ended the part of a service

  std::string ask;  // the group to ask later: its coordinator, or its shard when it was one-phase
  bool was_in_question =
      false;                   // an answer was lost on the way, and the outcome was learned by sending or asking again
  std::uint32_t sends = 0;     // requests that reached for a leader
  std::vector<TxnId> earlier;  // run_with_retry: the attempts that aborted before this one
  std::string note;            // when not definite: what happened, and how to find out

  [[nodiscard]] bool committed() const { return state == TxnState::committed; }
  [[nodiscard]] bool aborted() const { return state == TxnState::aborted; }
  [[nodiscard]] bool definite() const { return committed() || aborted(); }
  // The results of the shard's branch; empty when there are none.
  [[nodiscard]] const WorkResult& of(std::string_view shard) const;
  // What the service answered when it voted yes; nothing when that is not known.
  [[nodiscard]] std::optional<Bytes> answer_of(std::string_view service) const;
};

struct OutcomeRequest {
  TxnId id;
  bool seal = false;                  // after the answer it will never commit, unless it has
  std::chrono::milliseconds wait{0};  // for a decision, while it is running or prepared
  std::string group;                  // whom to ask, as in TxnOutcome::ask; empty: the coordinator, then every shard
};

struct QueryResult {
  WorkResult results;  // one for each operation
  Index at;            // the log index that the read reflects
  // Of a stale read alone: everything that was told to be committed longer ago shows in it.
  std::optional<std::chrono::milliseconds> age_max;
  std::string answered_by;  // of a stale read: the node
};

// What several shards held at one instant.
struct ReadResult {
  std::vector<BranchResult> results;  // as the branches were asked for
  std::uint32_t rounds = 1;           // until nothing had changed in between
  bool locked = false;                // it was read by a transaction with locks, after rounds in vain

  // The results of the shard's branch; empty when there is none.
  [[nodiscard]] const WorkResult& of(std::string_view shard) const;
};

// Forces an end on one shard that is in doubt about a transaction (heuristic decision).
struct ForceRequest {
  TxnId id;
  std::string shard;
  bool commit = false;
  std::string reason;  // 1 to 1,000 bytes
};

// An operator has brought the part of a service to its end by hand, the one that the transaction came to.
struct EndServiceRequest {
  TxnId id;
  std::string service;  // the branch's name
  bool commit = false;
  std::string reason;  // 1 to 1,000 bytes
};

// Takes what was forced on a transaction off one shard's list.
struct ForgetRequest {
  TxnId id;
  std::string shard;
  std::string reason;  // 1 to 1,000 bytes
};

}  // namespace assent::client
