// The name of a prepared transaction that holds its branch's register: the row of assent_branches that says committed
// is inserted by the very transaction that does the work. Then one thing becomes durable instead of two, and a branch
// is prepared while the transaction is, committed once the row is seen.
//
// Pure. Nothing but the name tells of such a branch while it is in doubt, so it carries all that whoever finds it must
// know: the branch's name and the group to ask, spelled out. Held by tests/agent/prepared_branch_test.cc: no two
// promises have the same name, and what is not exactly one of ours is none.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "base/ids.h"
#include "service/branch.h"

namespace assent::agent {

inline constexpr std::size_t promise_bytes_max = 199;  // PostgreSQL's

// assentyes_<txn>_<database>_<epoch>_<number>_<branch>_<coordinator>: the database as in a Gid, numbers in hex without
// zeros before them, the two names as hex digits of their bytes.
struct Promise {
  TxnId txn;
  std::string database;
  service::Attempt attempt;
  std::string branch;
  std::string coordinator;
  bool operator==(const Promise&) const = default;

  [[nodiscard]] std::string text() const;
};
// Nothing when the names are too long for it: such a branch is prepared in two steps.
[[nodiscard]] std::optional<Promise> promise_of(const service::Branch& branch, std::string_view identity);
[[nodiscard]] std::optional<Promise> promise_from(std::string_view text);
// What all promises of a transaction in a database begin with.
[[nodiscard]] std::string promises_of(const TxnId& txn, std::string_view identity);

}  // namespace assent::agent
