// The participant before a database: does a branch's statements in a transaction of their own, which it leaves
// prepared, and ends that one later. docs/SERVICES.md has the table of its states.
//
// The barrier calls it (service/participant.h) inside a local transaction that holds the branch's register; the work
// runs on another connection. The register decides: what is prepared and has no yes in its register is rolled back.
#pragma once

#include <fmt/format.h>

#include <algorithm>

#include "agent/database.h"
#include "service/participant.h"

namespace assent::agent {

template <class Connection>
class SqlParticipant final : public service::Participant<Connection> {
 public:
  explicit SqlParticipant(DatabaseOn<Connection>& database) : database_(database) {}

  service::Vote prepare(const service::Branch& branch, Connection& registers, ByteView payload) override {
    const Result<Work> work = read_work(payload, database_.dialect());
    if (!work) {
      return service::Vote::no(work.error().code == ErrorCode::refused ? "NOT_ALLOWED" : "MALFORMED",
                               work.error().message);
    }
    const Gid gid = gid_of(branch, database_.identity());
    // From here on the sweeper keeps off; and the register is empty, so that whatever is prepared was never told of.
    if (auto fenced = database_.fence(registers, gid.branch_text()); !fenced) return unavailable(fenced.error());
    const auto left = left_behind(gid);
    if (!left) return unavailable(left.error());
    if (*left) return service::Vote::yes();
    return database_.prepare(gid, branch, *work);
  }

  Result<void> commit(const service::Branch& branch, Connection&, ByteView) override {
    const Gid gid = gid_of(branch, database_.identity());
    const auto done = database_.finish(gid, service::Call::commit);
    if (!done) return fail(done.error());
    if (*done) return {};
    const auto before = database_.committed(gid);
    if (!before) return fail(before.error());
    if (*before) return {};
    return fail(ErrorCode::refused,
                fmt::format("{} is prepared no more, and was not committed: somebody rolled it back by hand. Its "
                            "statements are to be done by hand as well",
                            gid.text()));
  }

  Result<void> abort(const service::Branch& branch, Connection&, ByteView) override {
    const Gid gid = gid_of(branch, database_.identity());
    const auto done = database_.finish(gid, service::Call::abort);
    if (!done) return fail(done.error());
    if (*done) return {};
    const auto before = database_.committed(gid);
    if (!before) return fail(before.error());
    if (!*before) return {};
    return fail(ErrorCode::refused, fmt::format("{} was committed already: it cannot be aborted", gid.text()));
  }

 private:
  static service::Vote unavailable(const Error& error) { return service::Vote::no("UNAVAILABLE", error.message); }

  // What a prepare that ended before its register was written has left: true when it is this very attempt's, and
  // stands. Another attempt's is rolled back.
  Result<bool> left_behind(const Gid& gid) {
    const auto names = database_.prepared();
    if (!names) return fail(names.error());
    bool own = false;
    for (const std::string& name : *names) {
      const std::optional<Gid> found = gid_from(name);
      if (!found || found->branch_text() != gid.branch_text()) continue;
      if (*found == gid) {
        own = true;
        continue;
      }
      if (auto done = database_.finish(*found, service::Call::abort); !done) return fail(done.error());
    }
    return own;
  }

  DatabaseOn<Connection>& database_;
};

}  // namespace assent::agent
