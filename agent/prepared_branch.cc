#include "agent/prepared_branch.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "base/digest.h"

namespace assent::agent {

namespace {

using service::BranchState;

constexpr std::string_view prefix = "assent";
constexpr std::size_t database_digits = 8;
constexpr std::size_t branch_digits = 30;

bool is_hex(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

// Exactly 16 lower-case hex digits.
std::optional<std::uint64_t> number_from(std::string_view text) {
  std::uint64_t out = 0;
  if (text.size() != 16 || !is_hex(text)) return std::nullopt;
  std::from_chars(text.data(), text.data() + text.size(), out, 16);
  return out;
}

// The text between underscores; nothing unless there are exactly as many pieces.
std::optional<std::array<std::string_view, 6>> pieces_of(std::string_view text) {
  std::array<std::string_view, 6> out;
  for (std::size_t i = 0; i < out.size(); ++i) {
    const std::size_t end = text.find('_');
    if ((end == std::string_view::npos) != (i + 1 == out.size())) return std::nullopt;
    out[i] = text.substr(0, end);
    if (end != std::string_view::npos) text.remove_prefix(end + 1);
  }
  return out;
}

}  // namespace

std::string digest_of_name(std::string_view branch_name) {
  return fmt::format("{:016x}{:016x}", xxh3(branch_name, 1), xxh3(branch_name, 2)).substr(0, branch_digits);
}

std::string database_of(std::string_view identity) { return std::string(identity.substr(0, database_digits)); }

std::string Gid::gtrid() const { return fmt::format("{}_{}_{}", prefix, txn.to_hex(), database); }
std::string Gid::bqual() const { return fmt::format("{:016x}_{:016x}_{}", attempt.epoch, attempt.number, branch); }
std::string Gid::text() const { return gtrid() + "_" + bqual(); }
std::string Gid::branch_text() const { return gtrid() + "_" + branch; }

Gid gid_of(const service::Branch& branch, std::string_view identity) {
  return {branch.txn, database_of(identity), branch.attempt, digest_of_name(branch.name)};
}

std::optional<Gid> gid_from(std::string_view text) {
  const auto pieces = pieces_of(text);
  if (!pieces) return std::nullopt;
  const auto& [word, txn, database, epoch, number, branch] = *pieces;
  const std::optional<TxnId> id = TxnId::from_hex(txn);
  const auto first = number_from(epoch);
  const auto second = number_from(number);
  if (word != prefix || !id || !first || !second) return std::nullopt;
  if (database.size() != database_digits || branch.size() != branch_digits) return std::nullopt;
  Gid out{*id, std::string(database), {*first, *second}, std::string(branch)};
  if (!is_hex(database) || !is_hex(branch) || out.text() != text) return std::nullopt;
  return out;
}

Advice judge_found(std::string_view gid, std::string_view identity, const std::vector<KnownRegister>& registers) {
  const std::optional<Gid> found = gid_from(gid);
  if (!found || found->database != database_of(identity)) return Advice::foreign;
  const auto known = std::find_if(registers.begin(), registers.end(), [&](const KnownRegister& one) {
    return digest_of_name(one.branch) == found->branch;
  });
  if (known == registers.end()) return Advice::unregistered;
  const bool own = known->attempt == found->attempt;
  switch (known->state) {
    case BranchState::prepared: return own ? Advice::leave : Advice::roll_back;
    case BranchState::committed: return own ? Advice::contradiction : Advice::roll_back;
    case BranchState::aborted:
    case BranchState::refused:
    case BranchState::read_only: return Advice::roll_back;
    case BranchState::empty:
    case BranchState::running:
    case BranchState::forgotten: break;
  }
  return Advice::unregistered;
}

}  // namespace assent::agent
