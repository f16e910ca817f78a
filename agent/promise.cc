#include "agent/promise.h"

#include <fmt/format.h>

#include <array>
#include <charconv>

#include "agent/prepared_branch.h"
#include "base/bytes.h"

namespace assent::agent {

namespace {

constexpr std::string_view prefix = "assentyes";

std::string hex(std::string_view bytes) {
  std::string out;
  for (const char c : bytes) out += fmt::format("{:02x}", static_cast<unsigned char>(c));
  return out;
}

std::optional<std::string> unhex(std::string_view digits) {
  std::string out;
  if (digits.size() % 2 != 0) return std::nullopt;
  for (std::size_t i = 0; i < digits.size(); i += 2) {
    unsigned byte = 0;
    const char* const end = digits.data() + i + 2;
    if (std::from_chars(digits.data() + i, end, byte, 16).ptr != end) return std::nullopt;
    out += static_cast<char>(byte);
  }
  return out;
}

std::optional<std::uint64_t> number_from(std::string_view digits) {
  std::uint64_t out = 0;
  const char* const end = digits.data() + digits.size();
  const auto [read, trouble] = std::from_chars(digits.data(), end, out, 16);
  if (trouble != std::errc() || read != end) return std::nullopt;
  return out;
}

}  // namespace

std::string Promise::text() const {
  return fmt::format("{}_{}_{}_{:x}_{:x}_{}_{}", prefix, txn.to_hex(), database, attempt.epoch, attempt.number,
                     hex(branch), hex(coordinator));
}

std::optional<Promise> promise_of(const service::Branch& branch, std::string_view identity) {
  Promise out{branch.txn, database_of(identity), branch.attempt, branch.name, branch.coordinator};
  if (out.text().size() > promise_bytes_max) return std::nullopt;
  return out;
}

// Reads it leniently, and writes it again: what is not the same then was not ours.
std::optional<Promise> promise_from(std::string_view text) {
  std::array<std::string_view, 7> pieces;
  std::string_view rest = text;
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    const std::size_t end = rest.find('_');
    if ((end == std::string_view::npos) != (i + 1 == pieces.size())) return std::nullopt;
    pieces[i] = rest.substr(0, end);
    if (end != std::string_view::npos) rest.remove_prefix(end + 1);
  }
  const std::optional<TxnId> txn = TxnId::from_hex(pieces[1]);
  const auto epoch = number_from(pieces[3]);
  const auto number = number_from(pieces[4]);
  const auto branch = unhex(pieces[5]);
  const auto coordinator = unhex(pieces[6]);
  if (pieces[0] != prefix || !txn || !epoch || !number || !branch || !coordinator) return std::nullopt;
  if (!service::valid_name(*branch) || !service::valid_name(*coordinator)) return std::nullopt;
  Promise out{*txn, std::string(pieces[2]), {*epoch, *number}, *branch, *coordinator};
  const bool digits = out.database.find_first_not_of("0123456789abcdef") == std::string::npos;
  if (!digits || out.database.size() != database_of(std::string(32, '0')).size()) return std::nullopt;
  if (out.text() != text) return std::nullopt;
  return out;
}

std::string promises_of(const TxnId& txn, std::string_view identity) {
  return fmt::format("{}_{}_{}_", prefix, txn.to_hex(), database_of(identity));
}

}  // namespace assent::agent
