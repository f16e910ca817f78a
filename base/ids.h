// Strong integer ids, one type per meaning, so that a term is never passed where an index is meant.
//
// Values only; no allocation, no I/O. Zero means "none" for every id but ClusterMillis.
#pragma once

#include <fmt/format.h>

#include <array>
#include <bit>
#include <compare>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace assent {

template <class Tag>
struct Id {
  std::uint64_t value = 0;

  constexpr Id() = default;
  constexpr explicit Id(std::uint64_t v) : value(v) {}
  constexpr auto operator<=>(const Id&) const = default;
  [[nodiscard]] constexpr Id next() const { return Id(value + 1); }
  [[nodiscard]] constexpr Id previous() const { return Id(value == 0 ? 0 : value - 1); }
  [[nodiscard]] constexpr bool none() const { return value == 0; }
};

using NodeId = Id<struct NodeTag>;
using GroupId = Id<struct GroupTag>;
using Epoch = Id<struct EpochTag>;  // a Raft term, a Paxos ballot, a Zab epoch
using Index = Id<struct IndexTag>;  // a place in one group's log; the first entry is 1
using ReadId = Id<struct ReadTag>;
using RequestId = Id<struct RequestTag>;  // one client call at one node, unique while the process lives

// Wall-clock milliseconds since 1970 as stamped by leaders; never decreases along a log.
using ClusterMillis = Id<struct ClusterMillisTag>;

// A place in a log together with the epoch of the entry that stands there.
struct Position {
  Epoch epoch;
  Index index;
  constexpr auto operator<=>(const Position&) const = default;
};

// A transaction's id: UUIDv7 (RFC 9562), chosen by the client, printed as 32 lower-case hex digits. Ids order by time.
struct TxnId {
  std::array<std::uint8_t, 16> bytes{};

  // Byte by byte, as two words: most of what is kept by transaction is ordered by this.
  constexpr std::strong_ordering operator<=>(const TxnId& other) const {
    const auto mine = words();
    const auto others = other.words();
    return mine[0] != others[0] ? mine[0] <=> others[0] : mine[1] <=> others[1];
  }
  constexpr bool operator==(const TxnId& other) const { return words() == other.words(); }
  [[nodiscard]] bool none() const { return *this == TxnId(); }
  // Milliseconds since 1970 from the leading 48 bits.
  [[nodiscard]] ClusterMillis created() const;
  [[nodiscard]] std::string to_hex() const;
  // Accepts exactly 32 hex digits, either case; anything else is nullopt.
  [[nodiscard]] static std::optional<TxnId> from_hex(std::string_view text);
  // From exactly 16 raw bytes; anything else is nullopt.
  [[nodiscard]] static std::optional<TxnId> from_raw(std::string_view raw);
  [[nodiscard]] std::string to_raw() const;
  // A UUIDv7 of the given time with 74 bits of the given randomness.
  [[nodiscard]] static TxnId make(ClusterMillis now, std::uint64_t random_high, std::uint64_t random_low);

 private:
  [[nodiscard]] constexpr std::array<std::uint64_t, 2> words() const {
    auto words = std::bit_cast<std::array<std::uint64_t, 2>>(bytes);
    if constexpr (std::endian::native == std::endian::little) {
      for (std::uint64_t& word : words) word = __builtin_bswap64(word);
    }
    return words;
  }
};

}  // namespace assent

template <class Tag>
struct std::hash<assent::Id<Tag>> {
  std::size_t operator()(const assent::Id<Tag>& id) const noexcept { return std::hash<std::uint64_t>{}(id.value); }
};

template <>
struct std::hash<assent::TxnId> {
  std::size_t operator()(const assent::TxnId& id) const noexcept;
};

template <class Tag>
struct fmt::formatter<assent::Id<Tag>> : fmt::formatter<std::uint64_t> {
  template <class Context>
  auto format(const assent::Id<Tag>& id, Context& context) const {
    return fmt::formatter<std::uint64_t>::format(id.value, context);
  }
};

template <>
struct fmt::formatter<assent::TxnId> : fmt::formatter<std::string> {
  template <class Context>
  auto format(const assent::TxnId& id, Context& context) const {
    return fmt::formatter<std::string>::format(id.to_hex(), context);
  }
};
