#include "base/ids.h"

#include <gtest/gtest.h>

#include <set>

#include "base/rng.h"

namespace assent {
namespace {

TEST(TxnId, hex_round_trip_keeps_every_bit) {
  const TxnId id = TxnId::make(ClusterMillis(0x0193a6b25e1c), 0xABC, 0xFFFFFFFFFFFFFFFFULL);
  ASSERT_EQ(id.to_hex().size(), 32U);
  EXPECT_EQ(TxnId::from_hex(id.to_hex()), id);
  EXPECT_EQ(TxnId::from_raw(id.to_raw()), id);
}

TEST(TxnId, is_a_version_7_uuid_of_its_time) {
  const TxnId id = TxnId::make(ClusterMillis(0x0193a6b25e1c), ~0ULL, ~0ULL);
  EXPECT_EQ(id.created(), ClusterMillis(0x0193a6b25e1c));
  EXPECT_EQ(id.to_hex().substr(0, 13), "0193a6b25e1c7");
  EXPECT_EQ(id.bytes[8] & 0xC0U, 0x80U);
}

TEST(TxnId, orders_by_time_before_randomness) {
  EXPECT_LT(TxnId::make(ClusterMillis(5), ~0ULL, ~0ULL), TxnId::make(ClusterMillis(6), 0, 0));
}

TEST(TxnId, orders_as_its_bytes_do) {
  Rng rng(5);
  for (int i = 0; i < 10'000; ++i) {
    TxnId one;
    TxnId other;
    for (std::size_t at = 0; at < 16; ++at) {
      one.bytes[at] = static_cast<std::uint8_t>(rng.below(256));
      other.bytes[at] = rng.chance(0.9) ? one.bytes[at] : static_cast<std::uint8_t>(rng.below(256));
    }
    ASSERT_EQ(one <=> other, one.bytes <=> other.bytes) << one.to_hex() << " and " << other.to_hex();
    ASSERT_EQ(one == other, one.bytes == other.bytes);
  }
}

TEST(TxnId, refuses_text_that_is_not_32_hex_digits) {
  EXPECT_FALSE(TxnId::from_hex(""));
  EXPECT_FALSE(TxnId::from_hex("0193a6b2-5e1c-7c3f-a1d0-c9be6f2277a4"));
  EXPECT_FALSE(TxnId::from_hex(std::string(32, 'g')));
  EXPECT_FALSE(TxnId::from_hex(std::string(31, '0')));
  EXPECT_TRUE(TxnId::from_hex(std::string(32, 'A')));
}

// A client that counts in the low bytes of its ids must not drive a table's probing together.
TEST(TxnId, hashes_of_counted_ids_differ_in_their_low_bits) {
  std::set<std::size_t> low_bits;
  for (std::uint64_t i = 0; i < 4096; ++i) {
    low_bits.insert(std::hash<TxnId>{}(TxnId::make(ClusterMillis(1'700'000'000'000), 0, i)) % 65536);
  }
  EXPECT_GT(low_bits.size(), 3800U);  // random places would be 3,970 different ones
}

TEST(Id, previous_of_none_is_none) {
  EXPECT_TRUE(Index().previous().none());
  EXPECT_EQ(Index(7).previous(), Index(6));
  EXPECT_EQ(Index(7).next(), Index(8));
}

}  // namespace
}  // namespace assent
