// What the barriers of all databases have in common: the columns of their two tables, how a register is written into
// them, and how one is read back. Internal to service/. Pure.
//
// Numbers of an attempt are unsigned and SQL's are not: they are stored as the signed number of the same 64 bits.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "service/barrier.h"
#include "service/register.h"

namespace assent::service {

inline constexpr std::string_view branches_table = "assent_branches";
inline constexpr std::string_view barrier_table = "assent_barrier";
inline constexpr int tables_version = 1;

inline constexpr std::array<std::string_view, 11> branch_columns{"txn_id", "branch",      "state",     "epoch",
                                                                 "number", "coordinator", "refusal",   "message",
                                                                 "result", "payload",     "changed_at"};
inline constexpr std::array<std::string_view, 4> barrier_columns{"id", "version", "identity", "forgotten_through"};

// "a, b, c"
[[nodiscard]] std::string listed(const std::vector<std::string>& names);

// An Error unless the columns that are there are exactly those; it names the table, what is missing, and what to do.
[[nodiscard]] Result<void> check_columns(std::string_view table, const std::vector<std::string>& found);

// A register as columns behind the key. epoch and number are both there or both not.
struct RegisterRow {
  std::string state;
  std::optional<std::int64_t> epoch;
  std::optional<std::int64_t> number;
  std::string coordinator;
  std::string refusal;
  std::string message;
  Bytes result;
  Bytes payload;
  std::int64_t changed_at = 0;
};
[[nodiscard]] RegisterRow to_row(const Register& value);
// Adds them to a statement's values, in the order of the columns. Values: has text(), integer() and blob(), each of
// which gives back itself; the row must outlive it.
template <class Values>
Values& add_row(Values& values, const RegisterRow& row) {
  return values.text(row.state)
      .integer(row.epoch)
      .integer(row.number)
      .text(row.coordinator)
      .text(row.refusal)
      .text(row.message)
      .blob(row.result)
      .blob(row.payload)
      .integer(row.changed_at);
}
// Error corruption: somebody else has written it.
[[nodiscard]] Result<Register> from_row(RegisterRow row);
[[nodiscard]] Result<InDoubt> in_doubt_from(std::string_view txn, std::string branch, std::int64_t epoch,
                                            std::int64_t number, std::string coordinator, std::int64_t changed_at);

// The smallest id of a transaction that was made at that time: ids before it were made earlier.
[[nodiscard]] std::string first_id_of(ClusterMillis time);
// Of the deleted rows; the latest time that one of their ids was made. 0 when there is none.
[[nodiscard]] ClusterMillis latest_created(const std::vector<std::string>& txn_ids);

// 32 random hex digits.
[[nodiscard]] std::string new_identity();

}  // namespace assent::service
