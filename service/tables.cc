#include "service/tables.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <bit>
#include <random>
#include <span>

namespace assent::service {

namespace {

Error corrupt(std::string what) {
  return {ErrorCode::corruption,
          fmt::format("table {} was written by somebody else: {}", branches_table, std::move(what)),
          {}};
}

std::vector<std::string> expected_columns(std::string_view table) {
  if (table == branches_table) return {branch_columns.begin(), branch_columns.end()};
  return {barrier_columns.begin(), barrier_columns.end()};
}

std::vector<std::string> missing_from(const std::vector<std::string>& wanted, const std::vector<std::string>& found) {
  std::vector<std::string> out;
  for (const std::string& name : wanted) {
    if (std::find(found.begin(), found.end(), name) == found.end()) out.push_back(name);
  }
  return out;
}

ClusterMillis time_of(std::int64_t millis) {
  return ClusterMillis(millis < 0 ? 0 : static_cast<std::uint64_t>(millis));
}

}  // namespace

std::string listed(const std::vector<std::string>& names) { return fmt::format("{}", fmt::join(names, ", ")); }

Result<void> check_columns(std::string_view table, const std::vector<std::string>& found) {
  const std::vector<std::string> wanted = expected_columns(table);
  const std::vector<std::string> missing = missing_from(wanted, found);
  const std::vector<std::string> strange = missing_from(found, wanted);
  if (missing.empty() && strange.empty()) return {};
  std::string what;
  if (!missing.empty()) what += fmt::format(" lacks {}", listed(missing));
  if (!strange.empty()) what += fmt::format("{} has {} besides", what.empty() ? "" : ",", listed(strange));
  return fail(ErrorCode::refused,
              fmt::format("table {}{}: it is not the barrier's. Rename it, and the barrier makes its "
                          "own; or give the service another database",
                          table, what));
}

RegisterRow to_row(const Register& value) {
  RegisterRow row;
  row.state = to_string(value.state);
  if (value.attempt) {
    row.epoch = std::bit_cast<std::int64_t>(value.attempt->epoch);
    row.number = std::bit_cast<std::int64_t>(value.attempt->number);
  }
  row.coordinator = value.coordinator;
  row.refusal = value.refusal;
  row.message = value.message;
  row.result = value.result;
  row.payload = value.payload;
  row.changed_at = static_cast<std::int64_t>(value.changed_at.value);
  return row;
}

Result<Register> from_row(RegisterRow row) {
  const std::optional<BranchState> state = state_from(row.state);
  if (!state) return fail(corrupt(fmt::format("'{}' is no state of a branch", tidy_text(row.state, 40))));
  const bool live =
      *state == BranchState::prepared || *state == BranchState::read_only || *state == BranchState::committed;
  if (row.epoch.has_value() != row.number.has_value() || (live && !row.epoch)) {
    return fail(corrupt(fmt::format("a branch that is {} has no attempt", row.state)));
  }
  Register out;
  out.state = *state;
  if (row.epoch) out.attempt = {std::bit_cast<std::uint64_t>(*row.epoch), std::bit_cast<std::uint64_t>(*row.number)};
  out.coordinator = std::move(row.coordinator);
  out.refusal = std::move(row.refusal);
  out.message = std::move(row.message);
  out.result = std::move(row.result);
  out.payload = std::move(row.payload);
  out.changed_at = time_of(row.changed_at);
  return out;
}

Result<InDoubt> in_doubt_from(std::string_view txn, std::string branch, std::int64_t epoch, std::int64_t number,
                              std::string coordinator, std::int64_t changed_at) {
  const std::optional<TxnId> id = TxnId::from_hex(txn);
  if (!id) return fail(corrupt(fmt::format("'{}' is no transaction id", tidy_text(txn, 40))));
  return InDoubt{{*id, std::move(branch)},
                 {std::bit_cast<std::uint64_t>(epoch), std::bit_cast<std::uint64_t>(number)},
                 std::move(coordinator),
                 time_of(changed_at)};
}

std::string first_id_of(ClusterMillis time) { return fmt::format("{:012x}{:020x}", time.value & 0xFFFF'FFFF'FFFFU, 0); }

ClusterMillis latest_created(const std::vector<std::string>& txn_ids) {
  ClusterMillis latest;
  for (const std::string& text : txn_ids) {
    if (const auto id = TxnId::from_hex(text)) latest = std::max(latest, id->created());
  }
  return latest;
}

std::string new_identity() {
  std::random_device device;
  std::string out;
  for (int i = 0; i < 4; ++i) out += fmt::format("{:08x}", device());
  return out;
}

}  // namespace assent::service
