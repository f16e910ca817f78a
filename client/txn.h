// One attempt of an interactive transaction: what a function given to Client::run() reads, and what it wants done.
//
//   auto outcome = client.run({}, [&](Txn& t) {
//     const auto balance = t.get("s1", "alice");            // asked now; a linearizable read of that shard
//     if (!balance) return;                                  // could not be read: run() tries again, or says why
//     if (!*balance) return t.abort("there is no such account");
//     t.put("s2", "copy of alice", **balance);               // kept here until the function returns
//   });
//
// Writes stay in the client until the end. A read at a shard sees those made at it before: the shard runs them, then
// the read, and takes everything back. When the function returns all is sent as one transaction, in which every read
// must answer again what it answered here: the shards hold that under the transaction's locks, and otherwise nothing
// happens and the function runs once more. So what commits is strictly serializable, and everything that the function
// read was true at that one moment. Before, and in an attempt that does not commit, reads of different moments may not
// fit together: the function must not do anything but reading and writing through Txn that cannot be done again. It may
// conclude from them what is not so; when it gives up, or a shard refuses what it tries, run() believes that only if
// all that it read is still so, and runs it again otherwise.
//
// What is read with random() or the clock in it never answers the same again and never commits; write it instead.
// Used by one thread, inside the function only.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "client/error.h"
#include "client/transaction.h"

namespace assent::client {

// What a shard answers to a rehearsal.
struct Rehearsal {
  WorkResult results;
  std::vector<std::uint64_t> digests;  // one for each result
  Index at;
};

class Txn {
 public:
  using Rehearse = std::function<Result<Rehearsal>(const std::string& shard, Work work)>;
  Txn(TxnId id, Rehearse rehearse) : id_(id), rehearse_(std::move(rehearse)) {}
  Txn(const Txn&) = delete;
  Txn& operator=(const Txn&) = delete;

  [[nodiscard]] const TxnId& id() const { return id_; }  // of this attempt

  // The value of the key; nothing when it is absent. After an Error this attempt cannot commit.
  [[nodiscard]] Result<std::optional<Bytes>> get(std::string_view shard, std::string key);
  // The rows of a SELECT; also a statement that writes and returns rows.
  [[nodiscard]] Result<OperationResult> query(std::string_view shard, SqlStatement statement);

  void execute(std::string_view shard, SqlStatement statement) { write(shard, std::move(statement)); }
  void put(std::string_view shard, std::string key, Bytes value) {
    write(shard, KvPut{std::move(key), std::move(value)});
  }
  void erase(std::string_view shard, std::string key) { write(shard, KvErase{std::move(key)}); }
  void add(std::string_view shard, KvAdd add) { write(shard, std::move(add)); }
  void write(std::string_view shard, Operation operation);

  // Nothing of this is to happen; run() ends with an Error that says why, unless what was read has changed meanwhile.
  // The function should return.
  void abort(std::string why) { given_up_ = std::move(why); }

  // What was read of one shard.
  struct Seen {
    Index since;                 // the earliest read
    std::size_t operations = 0;  // of its work, up to the last read
  };
  // What came of the function.
  struct Intent {
    Transaction transaction;           // all of it, reads with what they must answer again
    bool writes = false;               // else there are reads alone
    std::map<std::string, Seen> seen;  // by shard
    std::optional<Error> failure;      // of a read
    std::optional<std::string> given_up;
  };
  [[nodiscard]] Intent intent() &&;

 private:
  [[nodiscard]] Result<OperationResult> read(std::string_view shard, Operation operation);

  TxnId id_;
  Rehearse rehearse_;
  std::map<std::string, Work> work_;    // by shard, in order; reads with what was answered
  std::map<std::string, Work> before_;  // of that, what later reads depend on: the writes
  std::map<std::string, Seen> seen_;
  std::optional<Error> failure_;
  std::optional<std::string> given_up_;
  bool writes_ = false;
};

}  // namespace assent::client
