#include "base/byte_codec.h"

#include <gtest/gtest.h>

#include "base/rng.h"

namespace assent {
namespace {

TEST(ByteCodec, reads_what_was_written) {
  Bytes out;
  ByteWriter(out).u8(7).u32(0xDEADBEEF).u64(~0ULL).id(Index(9)).bytes("hello").raw("!");
  EXPECT_EQ(out.substr(0, 5), Bytes("\x07\xEF\xBE\xAD\xDE", 5));
  ByteReader in(out);
  EXPECT_EQ(in.u8(), 7);
  EXPECT_EQ(in.u32(), 0xDEADBEEF);
  EXPECT_EQ(in.u64(), ~0ULL);
  EXPECT_EQ(in.id<Index>(), Index(9));
  EXPECT_EQ(in.bytes(), "hello");
  EXPECT_EQ(in.raw(1), "!");
  EXPECT_TRUE(in.complete());
}

TEST(ByteCodec, a_short_read_fails_and_stays_failed) {
  ByteReader in("\x01\x02\x03");
  EXPECT_EQ(in.u32(), 0U);
  EXPECT_FALSE(in.ok());
  EXPECT_EQ(in.u8(), 0);
  EXPECT_FALSE(in.complete());
}

TEST(ByteCodec, a_length_beyond_the_input_fails) {
  ByteReader in(ByteView("\xFF\xFF\xFF\xFFxx", 6));
  EXPECT_EQ(in.bytes(), "");
  EXPECT_FALSE(in.ok());
}

TEST(ByteCodec, any_bytes_end_in_a_value_or_a_failed_reader) {
  Rng rng(3);
  for (int round = 0; round < 2000; ++round) {
    Bytes garbage;
    for (std::uint64_t i = rng.below(40); i > 0; --i) garbage.push_back(static_cast<char>(rng.next()));
    ByteReader in(garbage);
    while (in.ok() && in.remaining() > 0) {
      const std::size_t before = in.remaining();
      if (rng.chance(0.5)) {
        static_cast<void>(in.bytes());
      } else {
        static_cast<void>(in.u64());
      }
      ASSERT_TRUE(!in.ok() || in.remaining() < before);
    }
  }
}

}  // namespace
}  // namespace assent
