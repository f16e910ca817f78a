// The pure part of a database that takes part by itself: how a prepared transaction is named, and what is to be done
// with one that is found, given the branch's register.
//
// No I/O, clock or lock. Invariants, held by tests/agent/prepared_branch_test.cc:
//   * a name tells its transaction, branch, attempt and database; no two of them have the same name;
//   * a name that is not exactly ours is nobody's business of ours: it is left alone;
//   * what a register has promised (a yes of that very attempt) is left to whoever ends it; what no register has
//     promised is rolled back, for nobody was ever told of a yes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "service/branch.h"
#include "service/register.h"

namespace assent::agent {

// assent_<txn>_<database>_<epoch>_<number>_<branch>, all hex: 8 digits of the barrier's identity, 16 and 16 of the
// attempt, and 30 of a digest of the branch's name, which is too long to stand in it. PostgreSQL takes it as it is;
// MariaDB as gtrid (through the database) and bqual, 64 bytes at most each.
struct Gid {
  TxnId txn;
  std::string database;
  service::Attempt attempt;
  std::string branch;
  bool operator==(const Gid&) const = default;

  [[nodiscard]] std::string text() const;
  // Not of one attempt: of the branch.
  [[nodiscard]] std::string branch_text() const;
  [[nodiscard]] std::string gtrid() const;  // "assent_<txn>_<database>"
  [[nodiscard]] std::string bqual() const;
};
[[nodiscard]] Gid gid_of(const service::Branch& branch, std::string_view identity);
[[nodiscard]] std::optional<Gid> gid_from(std::string_view text);
[[nodiscard]] std::string digest_of_name(std::string_view branch_name);
[[nodiscard]] std::string database_of(std::string_view identity);  // its first 8 digits

// A row of assent_branches, as far as it matters here.
struct KnownRegister {
  std::string branch;
  service::BranchState state = service::BranchState::empty;
  std::optional<service::Attempt> attempt;
};

enum class Advice : std::uint8_t {
  foreign,        // not ours: of somebody else, or of another database
  leave,          // promised: its end comes from the coordinator or the resolver
  roll_back,      // its branch ended without it
  unregistered,   // no register knows its branch: nobody was told of a yes, unless a prepare is running just now
  contradiction,  // its branch is committed, and it is still there
};
// registers: of its transaction.
[[nodiscard]] Advice judge_found(std::string_view gid, std::string_view identity,
                                 const std::vector<KnownRegister>& registers);

}  // namespace assent::agent
