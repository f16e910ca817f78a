// What the author of a service writes to take part in transactions. About ten lines:
//
//   class Ledger : public assent::service::Participant<sqlite3> {
//     Vote prepare(const Branch& branch, sqlite3& db, ByteView payload) override;  // take the money, or Vote::no(...)
//     Result<void> commit(const Branch&, sqlite3&, ByteView) override { return {}; }
//     Result<void> abort(const Branch& branch, sqlite3& db, ByteView payload) override;  // put it back
//   };
//   auto barrier = SqliteBarrier::open({.path = "ledger.db"});
//   Ledger ledger;
//   ParticipantHost host({.name = "ledger"}, ledger, **barrier);
//   builder.RegisterService(&host.service());
//
// Who calls: the host, from gRPC's threads, and the resolver from its own; never two at a time for one branch, and
// never two at a time on one connection. Each function runs inside a local transaction of the barrier's, in which the
// register is written as well: what it does on the given connection happens with the register or not at all, and what
// it does elsewhere may happen twice or in vain. So, on that connection: no BEGIN, COMMIT, ROLLBACK, nor a statement
// that commits by itself; savepoints are fine.
//
// The barrier sees to the order: prepare at most once for a branch; after a yes exactly one of commit and abort, once;
// abort is not called for what was never prepared or not with yes. "Once" counts what took effect: a call that ended
// without the local transaction (a crash, an error) comes again, with nothing left of the first.
//
// An exception of prepare is a no. One of commit or abort, as an Error, rolls back, and the call comes again.
#pragma once

#include "base/bytes.h"
#include "base/result.h"
#include "service/branch.h"

namespace assent::service {

// Connection: sqlite3, PGconn or MYSQL.
template <class Connection>
class Participant {
 public:
  virtual ~Participant() = default;

  // Does the work as far as it can be undone, or reserves what the commit will need; or refuses, or puts it off. After
  // a no and after later, all that it did on the connection is rolled back.
  [[nodiscard]] virtual Vote prepare(const Branch& branch, Connection& connection, ByteView payload) = 0;
  // Makes it final, with the payload of the prepare. After a yes it must come to succeed: an Error is told to the
  // coordinator and to its operators, who can only wait for the call to succeed.
  [[nodiscard]] virtual Result<void> commit(const Branch& branch, Connection& connection, ByteView payload) = 0;
  // Takes back what prepare did, with the payload of the prepare.
  [[nodiscard]] virtual Result<void> abort(const Branch& branch, Connection& connection, ByteView payload) = 0;
};

}  // namespace assent::service
