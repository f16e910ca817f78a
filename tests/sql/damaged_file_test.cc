// A shard's database file with a byte changed or its end cut (B08, B09). SQLite's pages have no checksums, so a changed
// value may go unseen here; what must hold is that nothing crashes and whatever is seen is an error that names the
// file.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "sql_adapter/database_check.h"
#include "support.h"

namespace assent::testing {
namespace {

Bytes contents(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream bytes;
  bytes << in.rdbuf();
  return std::move(bytes).str();
}

class DamagedFile : public ::testing::Test {
 protected:
  DamagedFile() {
    auto store = open_store(options());
    run(*store, "CREATE TABLE t(a TEXT PRIMARY KEY, b INTEGER UNIQUE)");
    run(*store, "INSERT INTO t VALUES('x', 1), ('y', 2), ('z', 3)");
    EXPECT_TRUE(store->put_record(txn(1), "record"));
    store->set_applied(Index(7));
    EXPECT_TRUE(store->commit());
    store.reset();  // the last connection takes SQLite's own log into the file
    good_ = contents(path_);
    EXPECT_GT(good_.size(), 4'096U);
  }
  [[nodiscard]] SqliteOptions options() const {
    SqliteOptions made;
    made.path = path_;
    return made;
  }
  static void run(SqliteStore& store, const std::string& text) {
    const auto made = store.evaluate({sql(text)});
    ASSERT_TRUE(made) << made.error().message;
    ASSERT_TRUE(store.install(made->effects.change));
  }
  void use(const Bytes& bytes) {
    for (const char* ending : {"-wal", "-shm", "-journal"}) std::filesystem::remove(path_ + ending);
    std::ofstream(path_, std::ios::binary) << bytes;
    auto opened = SqliteStore::open(options());
    if (!opened) {
      ++refused_;
      EXPECT_THAT(opened.error().code, ::testing::AnyOf(ErrorCode::corruption, ErrorCode::unsupported, ErrorCode::io));
      EXPECT_THAT(opened.error().message, ::testing::HasSubstr(path_));
      return;
    }
    SqliteStore& store = **opened;
    static_cast<void>(store.digest());
    static_cast<void>(store.records());
    static_cast<void>(store.query({sql("SELECT * FROM t ORDER BY b"), KvGet{"k"}}));
    const auto found = store.evaluate({sql("UPDATE t SET b = b + 10"), KvPut{"k", "v"}});
    if (found && store.check(found->effects.change)) static_cast<void>(store.install(found->effects.change));
    static_cast<void>(store.commit());
    static_cast<void>(store.snapshot());
  }

  Directory folder_;
  std::string path_ = folder_.file("s1.db");
  Bytes good_;
  int refused_ = 0;
};

TEST_F(DamagedFile, B08_bytes_changed) {
  for (std::size_t at = 0; at < good_.size(); at += at < 100 ? 3 : 97) {
    Bytes bytes = good_;
    bytes[at] = static_cast<char>(static_cast<unsigned char>(bytes[at]) ^ 0x5AU);
    SCOPED_TRACE(at);
    use(bytes);
    if (HasFailure()) return;
  }
  EXPECT_GT(refused_, 10);
}

TEST_F(DamagedFile, B09_cut_short) {
  for (std::size_t size = 1; size < good_.size(); size += 173) {
    SCOPED_TRACE(size);
    use(good_.substr(0, size));
    if (HasFailure()) return;
  }
  EXPECT_GT(refused_, 10);
}

TEST_F(DamagedFile, ACheckFindsNothingInAGoodFileAndMuchInDamagedOnes) {
  EXPECT_EQ(check_database(path_).value(), std::vector<std::string>{});
  std::size_t found = 0;
  for (std::size_t at = 4'096; at < good_.size(); at += 61) {
    Bytes bytes = good_;
    bytes[at] = static_cast<char>(bytes[at] ^ 0x55);
    for (const char* ending : {"-wal", "-shm"}) std::filesystem::remove(path_ + ending);
    std::ofstream(path_, std::ios::binary) << bytes;
    const auto problems = check_database(path_);
    found += !problems || !problems->empty() ? 1 : 0;
  }
  EXPECT_GT(found, 0U);
}

TEST_F(DamagedFile, IsLookedAtWhileItIsOpen) {
  auto store = open_store(options());
  run(*store, "INSERT INTO t VALUES('w', 9)");
  ASSERT_TRUE(store->commit());
  std::uint64_t bytes = 0;
  const auto whole = look_at_database(path_, [&bytes](std::uint64_t read) {
    bytes += read;
    return true;
  });
  ASSERT_TRUE(whole) << whole.error().message;
  EXPECT_THAT(*whole, ::testing::IsEmpty());
  EXPECT_GE(bytes, good_.size());
  const auto ended = look_at_database(path_, [](std::uint64_t) { return false; });
  ASSERT_FALSE(ended);
  EXPECT_EQ(ended.error().code, ErrorCode::cancelled);
  run(*store, "INSERT INTO t VALUES('v', 10)");  // it is still the only one who writes
  ASSERT_TRUE(store->commit());
  store.reset();
  const Bytes now = contents(path_);
  const std::size_t page = 4'096;
  std::size_t seen = 0;
  for (std::size_t at = page; at + page <= now.size(); at += page) {
    Bytes damaged = now;
    damaged.replace(at, page, page, 'x');
    for (const char* ending : {"-wal", "-shm"}) std::filesystem::remove(path_ + ending);
    std::ofstream(path_, std::ios::binary) << damaged;
    const auto found = look_at_database(path_, [](std::uint64_t) { return true; });
    seen += found && !found->empty() ? 1 : 0;
  }
  EXPECT_GT(seen, 3U) << "of " << now.size() / page << " pages";
  const auto none = look_at_database(path_ + ".not", [](std::uint64_t) { return true; });
  EXPECT_EQ(none.error().code, ErrorCode::not_found);
}

}  // namespace
}  // namespace assent::testing
