// assentctl conformance, from its arguments to its exit code.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "cli/run.h"
#include "service/participant_host.h"
#include "tests/service/database_kinds.h"
#include "tests/service/served.h"
#include "tests/service/test_participant.h"

namespace assent::service::testing {
namespace {

class ConformanceCommandTest : public ::testing::Test {
 protected:
  ConformanceCommandTest() : barrier_(std::move(*place_.open())) {
    TestParticipant<SqliteKind>::make_tables(place_.look());
  }

  SqliteKind place_;
  std::unique_ptr<SqliteBarrier> barrier_;
  TestParticipant<SqliteKind> participant_;
};

struct Ran {
  int status = 0;
  std::string out;
  std::string err;
};

Ran assentctl(std::vector<const char*> arguments) {
  arguments.insert(arguments.begin(), "assentctl");
  std::ostringstream out;
  std::ostringstream err;
  std::istringstream in;
  Ran ran;
  ran.status = cli::assentctl(static_cast<int>(arguments.size()), arguments.data(), {out, err, in});
  ran.out = out.str();
  ran.err = err.str();
  return ran;
}

TEST_F(ConformanceCommandTest, IsProvenFromTheCommandLine) {
  ParticipantHost host({.name = "ledger"}, participant_, *barrier_);
  const Served server(host.service());
  const std::string& target = server.address();
  const Ran ran = assentctl({"conformance", "--target", target.c_str(), "--name", "ledger", "--payload", "hex:796573",
                             "-o", "json", "--restart-hook", "true"});
  EXPECT_EQ(ran.status, 0) << ran.out << ran.err;
  const auto document = nlohmann::json::parse(ran.out);
  EXPECT_EQ(document["conforms"], true);
  EXPECT_EQ(document["failed"], 0);
  EXPECT_EQ(document["skipped"], 2) << "without a payload that it refuses";
  EXPECT_EQ(document["checks"][0]["check"], "a-yes");
}

TEST_F(ConformanceCommandTest, WithoutAYesTheCommandSaysWhatToGive) {
  ParticipantHost host({.name = "ledger"}, participant_, *barrier_);
  const Served server(host.service());
  const std::string& target = server.address();
  const Ran refused = assentctl({"conformance", "--target", target.c_str(), "--payload", "no"});
  EXPECT_EQ(refused.status, 1);
  EXPECT_THAT(refused.out, ::testing::HasSubstr("VOTE_NO: the payload said no"));
  EXPECT_THAT(refused.out, ::testing::HasSubstr("give --payload"));
  EXPECT_THAT(refused.out, ::testing::HasSubstr("what it costs"));
  const Ran hook =
      assentctl({"conformance", "--target", target.c_str(), "--payload", "yes", "--restart-hook", "false"});
  EXPECT_EQ(hook.status, 1);
  EXPECT_THAT(hook.out, ::testing::HasSubstr("the restart hook failed"));
}

TEST(ConformanceArguments, ReadsItsArguments) {
  EXPECT_EQ(assentctl({"conformance"}).status, 2);
  EXPECT_EQ(assentctl({"conformance", "--target", "nonsense"}).status, 2);
  EXPECT_EQ(assentctl({"conformance", "--target", "a:1", "--payload", "hex:0"}).status, 2);
  const Ran nobody = assentctl({"conformance", "--target", "127.0.0.1:1", "--timeout", "100ms"});
  EXPECT_EQ(nobody.status, 1);
  EXPECT_THAT(nobody.out, ::testing::HasSubstr("UNAVAILABLE"));
}

}  // namespace
}  // namespace assent::service::testing
